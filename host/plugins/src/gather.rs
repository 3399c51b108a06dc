//! The registry of all components that can fill a slot, and the list of all plugins that were
//! found.
//!
//! A plugin that can't be used is in the list with the reason. The others are still used.

use super::compare::{Incompatible, LibraryInfo, Mismatch};
use super::discover::{Discovery, Found, SearchPlace};
use super::loader::LoadError;
use super::manifests::ManifestsError;
use super::permissions::Trust;
use super::registry::{Registered, Source};
use super::scan::Kind;
use super::{Manifest, Search, declared, loader, manifests};
use kubernix_core::abi::{self, Description};
use kubernix_toolchain::text::chain::chain;
use kubernix_toolchain::{Conflict, Table};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that can fill a slot.
pub struct Registry {
    /// Components with unique names: plugins first, then the compiled-in ones that aren't shadowed.
    pub components: Vec<Arc<Registered>>,
    /// The toolchain's table, with the tools of the plugins that are used.
    pub table: Table,
    /// All plugins that were found, in search order.
    pub plugins: Vec<Plugin>,
}

/// A plugin that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Plugin {
    /// The component's name, or that of the file if the component's isn't known.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The roles that it can fill.
    pub roles: Vec<String>,
    /// Its file.
    pub path: PathBuf,
    /// The kind of file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The place where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<SearchPlace>,
    /// Whether its files are those that were installed, by their hashes.
    pub locked: bool,
    /// Whether it can be used.
    pub state: PluginState,
    /// Files of the same name that are not used because of it.
    pub shadows: Vec<PathBuf>,
    /// Whether it replaces a compiled-in component.
    pub shadows_built_in: bool,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its manifest, if it is a library.
    #[serde(skip)]
    pub manifest: Option<Manifest>,
}

/// Whether a plugin can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// It is loaded.
    Loaded,
    /// It isn't loaded, for the given reason.
    Refused,
}

/// Why a plugin, or an addon of manifests, can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It is a library without a manifest.
    #[error("{}: it has no manifest", .0.display())]
    NoManifest(PathBuf),
    /// It doesn't work with this host.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
    /// Its library can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its library differs from its manifest.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Mismatches(Vec<Mismatch>),
    /// Its TOML file isn't valid.
    #[error(transparent)]
    Declared(#[from] declared::Error),
    /// Its manifests can't be a component.
    #[error(transparent)]
    Manifests(#[from] ManifestsError),
    /// Its component can't describe itself.
    #[error("{}", .0.frames().join(": "))]
    Component(kubernix_core::Error),
    /// It describes a tool differently from another file.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Another component has its name.
    #[error("{}: there is a component `{name}` already ({other}): rename it", path.display())]
    Duplicate {
        /// The file or directory.
        path: PathBuf,
        /// The name.
        name: String,
        /// The source of the other component.
        other: Source,
    },
}

impl Registry {
    /// Finds and loads all plugins, and adds the compiled-in components.
    pub fn gather(built_in: Vec<Arc<Registered>>, search: &Search) -> Self {
        let Discovery { found, problems } = search.run(&Trust::of_process());
        let mut registry = Self { components: Vec::new(), table: Table::embedded().clone(), plugins: Vec::new() };
        for found in found {
            registry.add(found, &built_in);
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

    /// Adds these files and directories of manifests as components.
    ///
    /// # Errors
    /// One can't be read, isn't a manifest, or has the name of another component.
    pub fn add_manifests(&mut self, paths: &[PathBuf]) -> Result<(), PluginError> {
        for path in paths {
            let declared = declared::parse(path, manifests::component(path)?)?;
            let source = Source::Manifests { path: path.clone() };
            let version = declared.head().version.to_string();
            let registered = Registered::new(abi::component(declared), version, source);
            let registered = registered.map_err(PluginError::Component)?;
            if let Some(other) = self.components.iter().find(|other| other.name() == registered.name()) {
                return Err(PluginError::Duplicate {
                    path: path.clone(),
                    name: registered.name().to_owned(),
                    other: other.source.clone(),
                });
            }
            self.components.push(Arc::new(registered));
        }
        Ok(())
    }

    /// The reasons why plugins can't be used, each with its file.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().filter_map(|plugin| plugin.error.as_deref())
    }

    fn add(&mut self, found: Found, built_in: &[Arc<Registered>]) {
        let (state, error, registered) = match self.load(&found) {
            Ok(registered) => (PluginState::Loaded, None, Some(Arc::new(registered))),
            Err(error) => (PluginState::Refused, Some(chain(&error)), None),
        };
        let shadows_built_in = registered.is_some() && built_in.iter().any(|own| own.name() == found.name);
        let provides = registered.as_ref().map(|registered| roles(&registered.description.provides));
        self.plugins.push(Plugin {
            version: registered.as_ref().map(|r| r.version.clone()).or(found.version),
            roles: provides.unwrap_or(found.provides),
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

    /// Loads a plugin, and adds its tools to the table.
    fn load(&mut self, found: &Found) -> Result<Registered, PluginError> {
        let path = &found.path;
        let registered = match (&found.kind, &found.manifest) {
            (Kind::SharedLibrary, Some(manifest)) => load_library(path.clone(), manifest)?,
            (Kind::SharedLibrary, None) => return Err(PluginError::NoManifest(path.clone())),
            (Kind::Toml, _) => load_toml(path.clone())?,
        };
        let described_in = found.manifest.as_ref().map_or(path, |manifest| &manifest.path);
        self.table.extend(&found.tools, described_in)?;
        Ok(registered)
    }
}

/// Loads a TOML component.
fn load_toml(path: PathBuf) -> Result<Registered, PluginError> {
    let declared = declared::read(&path)?;
    let version = declared.head().version.to_string();
    let registered = Registered::new(abi::component(declared), version, Source::Toml { path });
    registered.map_err(PluginError::Component)
}

/// Loads a shared library, and compares it with its manifest.
fn load_library(path: PathBuf, manifest: &Manifest) -> Result<Registered, PluginError> {
    manifest.fits_this_host()?;
    let loaded = loader::load(&path)?;
    let source = Source::SharedLibrary { path };
    let version = loaded.version.clone();
    let registered = Registered::new(loaded.handle, loaded.version, source);
    let registered = registered.map_err(PluginError::Component)?;
    let mut mismatches = manifest.compare(&library_info(&registered.description, loaded.contract));
    if manifest.version.to_string() != version {
        mismatches.push(Mismatch {
            path: manifest.path.clone(),
            key: "version",
            manifest: format!("`{}`", manifest.version),
            library: format!("`{version}`"),
        });
    }
    if mismatches.is_empty() { Ok(registered) } else { Err(PluginError::Mismatches(mismatches)) }
}

/// The parts of a component's description that its manifest repeats.
pub(super) fn library_info(description: &Description, contract: String) -> LibraryInfo {
    let Description { name, provides, requires, binaries, .. } = description;
    LibraryInfo {
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
