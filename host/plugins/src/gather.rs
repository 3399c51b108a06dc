//! From files to components: everything that can fill a slot, and what became of every plugin that
//! was found.
//!
//! A plugin that can't be used is a line of the list with the reason, and never keeps the others
//! from being used.

use super::discover::{Discovery, Found, Place};
use super::permissions::Trust;
use super::registry::{Registered, Source};
use super::scan::Kind;
use super::{Manifest, Said, Search, declared, loader, manifests};
use kubernix_core::abi::{self, Description};
use kubernix_toolchain::Table;
use kubernix_toolchain::text::chain::chain;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that can fill a slot.
pub struct Registry {
    /// Components of unique names: plugins first, then what is compiled in and not shadowed.
    pub components: Vec<Arc<Registered>>,
    /// Our own toolchain's table, and those of the plugins that are used.
    pub table: Table,
    /// All plugins that were found, in the order of the search.
    pub plugins: Vec<Plugin>,
}

/// What became of a plugin.
#[derive(Debug, Clone, Serialize)]
pub struct Plugin {
    /// The component's name, or the file's name if the component's isn't known.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The roles that it can fill.
    pub roles: Vec<String>,
    /// Its file.
    pub path: PathBuf,
    /// What the file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether its files are those that were installed, by their hashes.
    pub locked: bool,
    /// Whether it can be used.
    pub state: PluginState,
    /// Files of the same name that are not used because of it.
    pub shadows: Vec<PathBuf>,
    /// Whether it takes the place of a component that is compiled in.
    pub shadows_built_in: bool,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its author, its licence, and what it needs.
    #[serde(skip)]
    pub manifest: Option<Manifest>,
}

/// Whether a plugin can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// It is loaded.
    Loaded,
    /// It isn't, for the reason given.
    Refused,
}

impl Registry {
    /// Finds and loads all plugins, beside what is compiled in.
    pub fn gather(built_in: Vec<Arc<Registered>>, search: &Search) -> Self {
        let Discovery { found, problems } = search.run(&Trust::of_process());
        let mut registry = Self { components: Vec::new(), table: Table::embedded().clone(), plugins: Vec::new() };
        for found in found {
            registry.take(found, &built_in);
        }
        for problem in problems {
            let name = problem.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            registry.plugins.push(Plugin {
                name,
                version: None,
                roles: Vec::new(),
                path: problem.path,
                kind: None,
                place: None,
                locked: false,
                state: PluginState::Refused,
                shadows: Vec::new(),
                shadows_built_in: false,
                error: Some(chain(&problem.error)),
                manifest: None,
            });
        }
        let used: Vec<String> = registry.components.iter().map(|c| c.name().to_owned()).collect();
        registry.components.extend(built_in.into_iter().filter(|own| !used.iter().any(|name| name == own.name())));
        registry
    }

    /// Adds the components that these files and directories of manifests are.
    ///
    /// # Errors
    /// One can't be read, isn't a manifest, or has the name of another component.
    pub fn add_manifests(&mut self, paths: &[PathBuf]) -> Result<(), String> {
        for path in paths {
            let text = manifests::component(path).map_err(|error| error.to_string())?;
            let declared = declared::parse(path, text).map_err(|error| chain(&error))?;
            let source = Source::Manifests { path: path.clone() };
            let version = declared.head().version.to_string();
            let registered = Registered::new(abi::component(declared), version, source);
            let registered = registered.map_err(|error| error.frames().join(": "))?;
            if let Some(other) = self.components.iter().find(|other| other.name() == registered.name()) {
                let (name, source) = (registered.name(), &other.source);
                return Err(format!("{}: there is a component `{name}` already ({source}): rename it", path.display()));
            }
            self.components.push(Arc::new(registered));
        }
        Ok(())
    }

    /// What is wrong with plugins, for the message of a boot: each begins with its file.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().filter_map(|plugin| plugin.error.as_deref())
    }

    fn take(&mut self, found: Found, built_in: &[Arc<Registered>]) {
        let loaded = self.load(&found);
        let (state, error, registered) = match loaded {
            Ok(registered) => (PluginState::Loaded, None, Some(Arc::new(registered))),
            Err(error) => (PluginState::Refused, Some(error), None),
        };
        let shadows_built_in = registered.is_some() && built_in.iter().any(|own| own.name() == found.name);
        let said = registered.as_ref().map(|registered| roles(&registered.description.provides));
        self.plugins.push(Plugin {
            version: registered.as_ref().map(|r| r.version.clone()).or(found.version),
            roles: said.unwrap_or(found.provides),
            name: found.name,
            path: found.path,
            kind: Some(found.kind),
            place: Some(found.source),
            locked: found.locked,
            state,
            shadows: found.shadows,
            shadows_built_in,
            error,
            manifest: found.manifest,
        });
        self.components.extend(registered);
    }

    /// Loads one, its tools included. Errors name the file.
    fn load(&mut self, found: &Found) -> Result<Registered, String> {
        let path = &found.path;
        let registered = match (&found.kind, &found.manifest) {
            (Kind::SharedLibrary, Some(manifest)) => load_library(path.clone(), manifest)?,
            (Kind::SharedLibrary, None) => return Err(format!("{}: it has no manifest", path.display())),
            (Kind::Toml, _) => load_toml(path.clone())?,
        };
        let described_in = found.manifest.as_ref().map_or(path, |manifest| &manifest.path);
        self.table.extend(&found.tools, described_in).map_err(|error| chain(&error))?;
        Ok(registered)
    }
}

/// Reads a component without Rust.
fn load_toml(path: PathBuf) -> Result<Registered, String> {
    let declared = declared::read(&path).map_err(|error| chain(&error))?;
    let version = declared.head().version.to_string();
    let registered = Registered::new(abi::component(declared), version, Source::Toml { path });
    registered.map_err(|error| error.frames().join(": "))
}

/// Loads a shared library, and holds it against its manifest.
fn load_library(path: PathBuf, manifest: &Manifest) -> Result<Registered, String> {
    manifest.fits_this_host().map_err(|refusal| refusal.to_string())?;
    let loaded = loader::load(&path).map_err(|error| chain(&error))?;
    let source = Source::SharedLibrary { path };
    let said = loaded.version.clone();
    let registered = Registered::new(loaded.handle, loaded.version, source);
    let registered = registered.map_err(|error| error.frames().join(": "))?;
    let mismatches = manifest.compare(&said_by(&registered.description, loaded.contract));
    let mut mismatches: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    if manifest.version.to_string() != said {
        mismatches.push(format!(
            "{}: `version` is `{}` in the manifest, but the library says `{said}`",
            manifest.path.display(),
            manifest.version
        ));
    }
    if mismatches.is_empty() { Ok(registered) } else { Err(mismatches.join("; ")) }
}

/// What a manifest repeats of a component that was built with this contract.
pub(super) fn said_by(description: &Description, contract: String) -> Said {
    let Description { name, provides, requires, binaries, .. } = description;
    Said {
        name: name.clone(),
        provides: roles(provides),
        requires: requires.iter().map(|required| required.role.to_string()).collect(),
        binaries: binaries.clone(),
        contract,
    }
}

fn roles(roles: &[kubernix_core::Role]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}
