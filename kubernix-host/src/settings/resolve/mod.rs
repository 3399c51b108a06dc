//! Combines the values of all sources into one value for each setting.

mod layers;
mod resolver;
mod saved;

pub(super) use resolver::Resolver;

use super::call::Call;
use super::{DEFAULT_NAME, Defaults, Error, Origin, Partial, Resolved, Settings};
use crate::root_dir::Root;
use layers::Layers;
use std::path::{Path, PathBuf};

/// The identity of a cluster, for commands that don't boot it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The cluster's name.
    pub name: String,
    /// The base directory; the cluster's own is `root/name`.
    pub root: PathBuf,
}

/// Finds the cluster that the sources name, by the same precedence as [`resolve`]. Commands that
/// don't boot use this, so that a configuration that no longer fits doesn't prevent a stop.
///
/// # Errors
/// A value isn't valid, or a configuration file can't be read.
pub fn locate(flags: Partial, env: Partial, file: Option<&Path>, cwd: &Path) -> Result<Place, Error> {
    locate_or(flags, env, file, cwd, DEFAULT_NAME)
}

/// As [`locate`], with another default name.
///
/// # Errors
/// As [`locate`].
pub fn locate_or(
    flags: Partial,
    env: Partial,
    file: Option<&Path>,
    cwd: &Path,
    default_name: &str,
) -> Result<Place, Error> {
    let defaults = Defaults::of_process();
    let layers = Layers::read(flags, env, file, cwd, &defaults)?;
    Resolver { layers, ..Resolver::default() }.place(&defaults, default_name)
}

/// Resolves every setting. The precedence is: flags, variables, the configuration file (`--config`,
/// `KUBERNIX_CONFIG`, `./kubernix.toml`, or the user's), the settings of the last boot, the
/// default.
///
/// # Errors
/// A value isn't valid, a file can't be read, a newer version created the cluster, or its CIDR
/// would change.
pub fn resolve(flags: Partial, env: Partial, file: Option<&Path>, cwd: &Path) -> Result<Resolved, Error> {
    resolve_with(flags, env, file, cwd, &Defaults::of_process())
}

/// The settings of a cluster's last boot. A setting that isn't saved has its default.
///
/// # Errors
/// As [`resolve`].
pub fn saved(root: &Root) -> Result<Settings, Error> {
    let place = Partial { name: Some(root.name()), root: Some(root.base().to_owned()), ..Partial::default() };
    let layers = Layers { given: vec![place], ..Layers::default() };
    Ok(resolve_layers(layers, Vec::new(), false, &Defaults::of_process())?.settings)
}

/// Parses the saved settings of a cluster.
///
/// # Errors
/// The text isn't a valid configuration.
pub fn parse_saved(root: &Root, text: &str) -> Result<Settings, Error> {
    let defaults = Defaults::of_process();
    let saved = Partial::from_toml(&root.settings_file(), text)?.based_at(root.path(), defaults.home.as_deref())?;
    // In a sandbox, the directory's name differs from the cluster's.
    let name = root.open_existing().map_or_else(|_| root.name(), |state| state.name);
    let decided = Partial {
        name: Some(name),
        root: Some(root.base().to_owned()),
        cache_dir: Some(defaults.cache_dir()?),
        ..Partial::default()
    };
    resolve_single(saved, decided, &defaults)
}

/// The settings of a single source. Values in `decided` have precedence.
pub(super) fn resolve_single(source: Partial, decided: Partial, defaults: &Defaults) -> Result<Settings, Error> {
    let layers = Layers { saved: Some(source), ..Layers::default() };
    Resolver { layers, ..Resolver::default() }.settings(decided, defaults)
}

/// As [`resolve`], with defaults other than those of the process.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_with(
    flags: Partial,
    env: Partial,
    file: Option<&Path>,
    cwd: &Path,
    defaults: &Defaults,
) -> Result<Resolved, Error> {
    let notes = env.notes.iter().chain(&flags.notes).cloned().collect();
    let fresh = flags.fresh;
    resolve_layers(Layers::read(flags, env, file, cwd, defaults)?, notes, fresh, defaults)
}

fn resolve_layers(layers: Layers, notes: Vec<String>, fresh: bool, defaults: &Defaults) -> Result<Resolved, Error> {
    let mut resolver = Resolver { layers, notes, fresh, ..Resolver::default() };
    let place = resolver.place(defaults, DEFAULT_NAME)?;

    let state = resolver.read_saved(&Root::new(&place.root, &place.name), defaults)?;
    let identity = |place: Place| Partial { name: Some(place.name), root: Some(place.root), ..Partial::default() };
    let settings = resolver.settings(identity(place.clone()), defaults)?;
    // The state has the CIDR that the cluster was created with. The saved file may have been
    // edited.
    let created = state.and_then(|state| state.cidr).or(resolver.layers.saved.as_ref().and_then(|saved| saved.cidr));
    if let Some(created) = created.filter(|created| *created != settings.cidr && !fresh) {
        let Place { name, root } = &place;
        let down = Call::new("kubernix", name, root).to("down");
        let reason = format!(
            "certificates, Services and pods in its datastore have addresses of that range; take it down first (`{down}`) or \
             choose another --name"
        );
        let origin = resolver.origins.get("cidr").cloned().unwrap_or(Origin::Default);
        let (made, wanted) = (created.to_string(), settings.cidr.to_string());
        let origin = Box::new(origin);
        return Err(Error::Fixed { key: "cidr", cluster: name.clone(), made, wanted, origin, reason });
    }
    let committed = resolver.committed.take().or_else(|| resolver.layers.saved.clone());
    let decided = Partial {
        cidr: Some(created.unwrap_or(settings.cidr)),
        cache_dir: Some(settings.cache_dir.clone()),
        ..identity(place)
    };
    let saved = committed.map(|saved| resolve_single(saved, decided, defaults)).transpose()?;
    let (revision, file) = (resolver.revision, resolver.layers.path);
    Ok(Resolved { settings, saved, revision, origins: resolver.origins, notes: resolver.notes, file })
}
