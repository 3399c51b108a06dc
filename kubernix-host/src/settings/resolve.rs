//! From what each source says to one value for each setting.

use super::call::Call;
use super::kind::{Directory, Kind, Name};
use super::{DEFAULT_NAME, Defaults, Error, Id, Key, Origin, Partial, Resolved, Settings, document};
use crate::root::{self, ClusterFile, Root, State};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The configuration file's name in a working directory.
const FILE: &str = "kubernix.toml";

/// Which cluster is meant: what commands need that don't boot it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The cluster's name.
    pub name: String,
    /// The base directory; the cluster's own is `root/name`.
    pub root: PathBuf,
}

/// Which cluster is meant, by the same precedence as [`resolve`]. For commands that don't boot: a
/// configuration that no longer fits the cluster must not keep anyone from stopping it.
///
/// # Errors
/// A value doesn't fit, or a configuration file can't be read.
pub fn locate(flags: Partial, env: Partial, file: Option<&Path>, cwd: &Path) -> Result<Place, Error> {
    locate_or(flags, env, file, cwd, DEFAULT_NAME)
}

/// As [`locate`], for a cluster that is called `otherwise` if no name is given.
///
/// # Errors
/// As [`locate`].
pub fn locate_or(
    flags: Partial,
    env: Partial,
    file: Option<&Path>,
    cwd: &Path,
    otherwise: &str,
) -> Result<Place, Error> {
    let defaults = Defaults::of_process();
    let layers = Layers::read(flags, env, file, cwd, &defaults)?;
    Settled { layers, ..Settled::default() }.place(&defaults, otherwise)
}

/// Settles every setting: flags, then variables, then the configuration file (`--config`,
/// `KUBERNIX_CONFIG`, `./kubernix.toml`, the user's), then what the cluster was booted with last,
/// then the default.
///
/// # Errors
/// A value doesn't fit, a file can't be read, a newer version made the cluster, or its CIDR would
/// change.
pub fn resolve(flags: Partial, env: Partial, file: Option<&Path>, cwd: &Path) -> Result<Resolved, Error> {
    resolve_with(flags, env, file, cwd, &Defaults::of_process())
}

/// What a cluster was booted with last, and will be again if nothing else is given. What isn't
/// saved has its default.
///
/// # Errors
/// As [`resolve`].
pub fn saved(root: &Root) -> Result<Settings, Error> {
    let place = Partial { name: Some(root.name()), root: Some(root.base().to_owned()), ..Partial::default() };
    let layers = Layers { given: vec![place], ..Layers::default() };
    Ok(settle(layers, Vec::new(), false, &Defaults::of_process())?.settings)
}

/// The settings of a cluster by their text, as of `kubernix.toml`.
///
/// # Errors
/// The text isn't what [`Settings::to_toml`] writes.
pub fn of_text(root: &Root, text: &str) -> Result<Settings, Error> {
    let defaults = Defaults::of_process();
    let saved = Partial::from_toml(&root.settings_file(), text)?.based_at(root.path(), defaults.home.as_deref())?;
    // In a sandbox its directory isn't called as the cluster is.
    let name = root.open_existing().map_or_else(|_| root.name(), |state| state.name);
    let decided = Partial {
        name: Some(name),
        root: Some(root.base().to_owned()),
        cache_dir: Some(defaults.cache_dir()?),
        ..Partial::default()
    };
    alone(saved, decided, &defaults)
}

/// The settings of one source, without any other; `decided` has precedence.
pub(super) fn alone(source: Partial, decided: Partial, defaults: &Defaults) -> Result<Settings, Error> {
    let layers = Layers { saved: Some(source), ..Layers::default() };
    Settled { layers, ..Settled::default() }.settings(decided, defaults)
}

/// As [`resolve`], with other defaults than the process's own.
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
    let said = env.notes.iter().chain(&flags.notes).cloned().collect();
    let fresh = flags.fresh;
    settle(Layers::read(flags, env, file, cwd, defaults)?, said, fresh, defaults)
}

fn settle(layers: Layers, said: Vec<String>, fresh: bool, defaults: &Defaults) -> Result<Resolved, Error> {
    let mut settled = Settled { layers, said, fresh, ..Settled::default() };
    let place = settled.place(defaults, DEFAULT_NAME)?;

    let state = settled.read_saved(&Root::new(&place.root, &place.name), defaults)?;
    let decided = |place: Place| Partial { name: Some(place.name), root: Some(place.root), ..Partial::default() };
    let settings = settled.settings(decided(place.clone()), defaults)?;
    // The saved file may have been edited; the state has the CIDR that the cluster was created
    // with.
    let created = state.and_then(|state| state.cidr).or(settled.layers.saved.as_ref().and_then(|saved| saved.cidr));
    if let Some(created) = created.filter(|created| *created != settings.cidr && !fresh) {
        let Place { name, root } = &place;
        let down = Call::new("kubernix", name, root).to("down");
        let reason = format!(
            "certificates, Services and pods in its datastore have addresses of that range; take it down first (`{down}`) or \
             choose another --name"
        );
        let origin = settled.origins.get("cidr").cloned().unwrap_or(Origin::Default);
        let (made, wanted) = (created.to_string(), settings.cidr.to_string());
        let origin = Box::new(origin);
        return Err(Error::Fixed { key: "cidr", cluster: name.clone(), made, wanted, origin, reason });
    }
    let in_force = settled.in_force.take().or_else(|| settled.layers.saved.clone());
    let decided = Partial {
        cidr: Some(created.unwrap_or(settings.cidr)),
        cache_dir: Some(settings.cache_dir.clone()),
        ..decided(place)
    };
    let saved = in_force.map(|saved| alone(saved, decided, defaults)).transpose()?;
    let (revision, file) = (settled.revision, settled.layers.path);
    Ok(Resolved { settings, saved, revision, origins: settled.origins, said: settled.said, file })
}

/// What each source says, highest precedence first.
#[derive(Default)]
pub(super) struct Layers {
    given: Vec<Partial>,
    saved: Option<Partial>,
    /// The configuration file among them.
    path: Option<PathBuf>,
}

impl Layers {
    fn read(flags: Partial, env: Partial, file: Option<&Path>, cwd: &Path, defaults: &Defaults) -> Result<Self, Error> {
        let home = defaults.home.as_deref();
        let named = file.map(Path::to_owned).or(flags.config.clone()).or(env.config.clone());
        let mut layers = Self { given: vec![flags.based_at(cwd, home)?, env.based_at(cwd, home)?], ..Self::default() };
        let candidates = match &named {
            Some(path) => vec![cwd.join(path)],
            None => [Some(cwd.join(FILE)), defaults.config.clone()].into_iter().flatten().collect(),
        };
        for path in candidates {
            if let Some(partial) = document::read(&path)? {
                layers.given.push(partial.based_at(path.parent().unwrap_or(cwd), home)?);
                layers.path = Some(path);
                break;
            } else if named.is_some() {
                return Err(Error::Read { path, cause: std::io::ErrorKind::NotFound.into() });
            }
        }
        Ok(layers)
    }
}

/// Settings on their way: what was settled so far.
#[derive(Default)]
pub(super) struct Settled {
    layers: Layers,
    origins: BTreeMap<String, Origin>,
    said: Vec<String>,
    /// The revision of the state that the saved settings are of.
    revision: Option<u64>,
    /// The settings in force, where a person edited the view of them.
    in_force: Option<Partial>,
    /// The cluster begins anew: what it has counts only where it can be read.
    fresh: bool,
}

impl Settled {
    /// The value of the highest source that has one; notes where it came from, and if it replaces a
    /// saved one.
    fn pick<T: PartialEq>(
        &mut self,
        key: Key,
        get: impl Fn(&Partial) -> Option<T>,
        text: impl Fn(&T) -> String,
    ) -> Option<T> {
        let saved = self.layers.saved.as_ref().and_then(|saved| Some((get(saved)?, saved)));
        let given = self.layers.given.iter().find_map(|given| Some((get(given)?, given)));
        let origin = |(value, source): &(T, &Partial)| source.origin(&key, &text(value));
        let name = key.to_string();
        if let (Some(new), Some(old)) = (&given, &saved)
            && new.0 != old.0
        {
            let (by, from) = (origin(new), origin(old));
            self.said.push(format!("{name}: `{}` ({by}) replaces `{}` of {from}", text(&new.0), text(&old.0)));
        }
        let found = given.or(saved)?;
        let origin = origin(&found);
        let (value, _) = found;
        self.origins.insert(name, origin);
        Some(value)
    }

    /// As [`Settled::pick`], for a single setting: the value in its final form.
    pub(super) fn accepted<K: Kind>(
        &mut self,
        id: Id,
        get: impl Fn(&Partial) -> Option<K::Value>,
    ) -> Result<Option<K::Value>, Error> {
        let Some(value) = self.pick(Key::Plain(id), get, K::show) else { return Ok(None) };
        let origin = || self.origins.get(id.setting().key()).cloned().unwrap_or(Origin::Default);
        K::accept(value).map(Some).map_err(|reason| Error::value(origin(), reason))
    }

    fn place(&mut self, defaults: &Defaults, otherwise: &str) -> Result<Place, Error> {
        let name = self.accepted::<Name>(Id::Name, |given| given.name.clone())?.unwrap_or_else(|| otherwise.into());
        let root = match self.accepted::<Directory>(Id::Root, |given| given.root.clone())? {
            Some(given) => given,
            None => defaults.root()?,
        };
        Ok(Place { name, root })
    }

    /// Reads what the cluster was booted with last, and what it was made with, if there is one.
    fn read_saved(&mut self, root: &Root, defaults: &Defaults) -> Result<Option<State>, Error> {
        let state = match root.open_existing() {
            Ok(state) => state,
            // The boot reports what is wrong with that.
            Err(root::Error::Missing { .. } | root::Error::NotACluster { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let path = root.settings_file();
        let origin = Origin::Saved(path.clone());
        let (text, revision) = self.saved_text(root, &state, defaults)?;
        self.revision = revision;
        if let Some(text) = text {
            let hint = |error| match error {
                Error::File { path, line, column, reason } if revision.is_some() => {
                    let reason = format!("{reason}; mend it, or remove the file for the settings in force");
                    Error::File { path, line, column, reason }
                }
                error => error,
            };
            let mut saved = Partial::from_toml(&path, &text).map_err(hint)?;
            // The directory's name is the cluster's; the file has the one that it was saved under.
            saved.name = None;
            saved.origins.values_mut().for_each(|place| *place = origin.clone());
            if saved.root.take().is_some() {
                self.said
                    .push(format!("{}: `root` has no effect here, the cluster is where this file is", path.display()));
            }
            self.layers.saved = Some(saved.based_at(root.path(), defaults.home.as_deref())?);
        }
        Ok(Some(state))
    }

    /// The settings in force, as text, and the revision that they are of. They are those of
    /// `cluster.json`, unless a person edited the view.
    fn saved_text(
        &mut self,
        root: &Root,
        state: &State,
        defaults: &Defaults,
    ) -> Result<(Option<String>, Option<u64>), Error> {
        let path = root.settings_file();
        let view = match std::fs::read(&path) {
            // A person writes text; what isn't is a view that was damaged.
            Ok(bytes) => String::from_utf8(bytes).ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(Error::Read { path, cause }),
        };
        let view = view.filter(|text| !text.trim().is_empty());
        match (ClusterFile::read(root), view) {
            (Ok(Some(state)), Some(view)) if !state.has_view(&view) => {
                self.said.push(format!("{} was edited: its settings are used", path.display()));
                let in_force = Partial::from_toml(&path, &state.settings)?;
                self.in_force = Some(in_force.based_at(root.path(), defaults.home.as_deref())?);
                Ok((Some(view), Some(state.revision)))
            }
            (Ok(Some(state)), Some(_)) => Ok((Some(state.settings), Some(state.revision))),
            (Ok(Some(state)), None) => {
                self.said.push(format!(
                    "{} is missing, empty or no text: it is written again from cluster.json",
                    path.display()
                ));
                Ok((Some(state.settings), Some(state.revision)))
            }
            (Ok(None), Some(view)) => Ok((Some(view), None)),
            (Ok(None) | Err(root::Error::Damaged { .. }), None) if self.fresh => Ok((None, None)),
            (Ok(None), None) if state.cidr.is_none() || state.removing => Ok((None, None)),
            (Ok(None), None) => Err(Error::Lost { path }),
            (Err(damaged @ root::Error::Damaged { .. }), Some(view)) => {
                self.said.push(format!("{damaged}: the settings of {} are used", path.display()));
                Ok((Some(view), None))
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    pub(super) fn mirrors(&mut self) -> BTreeMap<String, Vec<String>> {
        let prefixes: BTreeSet<String> = self.sources().flat_map(|source| source.mirrors.keys().cloned()).collect();
        let pick = |prefix: String| {
            let get = |given: &Partial| given.mirrors.get(&prefix).cloned();
            let urls = self.pick(Key::Mirrors(prefix.clone()), get, |urls| urls.join(","))?;
            Some((prefix, urls))
        };
        prefixes.into_iter().filter_map(pick).collect()
    }

    pub(super) fn slots(&mut self) -> BTreeMap<String, String> {
        let roles: BTreeSet<String> = self.sources().flat_map(|source| source.slots.keys().cloned()).collect();
        let pick = |role: String| {
            let component =
                self.pick(Key::Slot(role.clone()), |given| given.slots.get(&role).cloned(), String::clone)?;
            Some((role, component))
        };
        roles.into_iter().filter_map(pick).collect()
    }

    pub(super) fn components(&mut self) -> BTreeMap<String, BTreeMap<String, String>> {
        let named = self.sources().flat_map(|source| &source.components);
        let keys: BTreeSet<(String, String)> = named
            .flat_map(|(component, parameters)| parameters.keys().map(|name| (component.clone(), name.clone())))
            .collect();
        let mut components = BTreeMap::<String, BTreeMap<String, String>>::new();
        for (component, name) in keys {
            let get = |given: &Partial| given.components.get(&component)?.get(&name).cloned();
            if let Some(text) = self.pick(Key::Parameter(component.clone(), name.clone()), get, String::clone) {
                components.entry(component).or_default().insert(name, text);
            }
        }
        components
    }

    fn sources(&self) -> impl Iterator<Item = &Partial> {
        self.layers.given.iter().chain(&self.layers.saved)
    }
}
