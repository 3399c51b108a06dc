//! Finds plugins in the search places, in order. The first file of a name wins, and untrusted files
//! are rejected.
//!
//! A bad file is returned as a [`Problem`], and the others are still found. This module must not
//! load anything.

use super::lock::{Lock, LockError};
use super::manifest::Manifest;
use super::permissions::{Trust, Untrusted};
use super::scan::{self, Candidate, Kind, ScanError};
use kubernix_toolchain::Table;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The variable with search places, separated by colons.
pub const VARIABLE: &str = "KUBERNIX_PLUGIN_PATH";

/// The directory of plugins in a cluster's root directory, only for this cluster.
pub const DIRECTORY: &str = "plugins";

/// The directories that all users of a machine share.
const SYSTEM_DIRS: [&str; 2] = ["/usr/local/lib/kubernix/plugins", "/usr/lib/kubernix/plugins"];

/// The places where plugins are searched, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The files and directories of `--plugin`.
    pub given: Vec<PathBuf>,
    /// The files and directories of the variable.
    pub variable: Vec<PathBuf>,
    /// The cluster's own directory.
    pub cluster: Option<PathBuf>,
    /// The user's directory.
    pub user: Option<PathBuf>,
    /// The machine's directories.
    pub system: Vec<PathBuf>,
}

/// A kind of search place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchPlace {
    /// Given by `--plugin`.
    Given,
    /// Named by the variable.
    Variable,
    /// The cluster's.
    Cluster,
    /// The user's.
    User,
    /// The machine's.
    System,
}

/// A plugin that can be loaded.
#[derive(Debug, Clone)]
pub struct Found {
    /// The component's name.
    pub name: String,
    /// Its version; `None` for a TOML component without one.
    pub version: Option<String>,
    /// The roles that it can fill, from its manifest or TOML.
    pub provides: Vec<String>,
    /// The file to load, without links.
    pub path: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// The manifest of a library.
    pub manifest: Option<Manifest>,
    /// The tools that it adds.
    pub tools: Table,
    /// Where it was found.
    pub source: SearchPlace,
    /// Whether its files are those that were installed, by their hashes.
    pub locked: bool,
    /// Files of the same component that aren't used because of this one.
    pub shadows: Vec<PathBuf>,
}

/// A file or directory that isn't used.
#[derive(Debug)]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// The reason.
    pub error: DiscoverError,
}

/// Why a file or directory isn't used.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It isn't a plugin, or can't be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Other users could have written it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It differs from the installed file.
    #[error(transparent)]
    Locked(#[from] LockError),
}

/// The result of a search.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Plugins, in the order of the search.
    pub found: Vec<Found>,
    /// The files that aren't used, with the reasons.
    pub problems: Vec<Problem>,
}

impl Search {
    /// The places of this process and its user; `given` comes first, `root` is the cluster's root
    /// directory.
    pub fn of_process(given: Vec<PathBuf>, root: Option<&Path>) -> Self {
        Self::of(given, root, kubernix_toolchain::home(), |name| env::var_os(name))
    }

    /// The places for a user with this home and these variables.
    pub fn of(
        given: Vec<PathBuf>,
        root: Option<&Path>,
        home: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        // The XDG specification says to ignore a relative directory.
        let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let data = data.or_else(|| home.map(|home| home.join(".local/share")));
        let named = variable(VARIABLE).unwrap_or_default();
        Self {
            given,
            variable: env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect(),
            cluster: root.map(|root| root.join(DIRECTORY)),
            user: data.map(|data| data.join("kubernix/plugins")),
            system: SYSTEM_DIRS.map(PathBuf::from).into(),
        }
    }

    /// Every place, in order.
    fn places(&self) -> impl Iterator<Item = (SearchPlace, &PathBuf)> {
        let of = |place: SearchPlace| move |path| (place, path);
        let given =
            self.given.iter().map(of(SearchPlace::Given)).chain(self.variable.iter().map(of(SearchPlace::Variable)));
        let own = self.cluster.iter().map(of(SearchPlace::Cluster)).chain(self.user.iter().map(of(SearchPlace::User)));
        given.chain(own).chain(self.system.iter().map(of(SearchPlace::System)))
    }

    /// Finds all plugins. The first of a name wins.
    pub fn run(&self, trust: &Trust) -> Discovery {
        let mut finder =
            Finder { trust, discovery: Discovery::default(), seen: BTreeSet::new(), locks: BTreeMap::new() };
        for (place, path) in self.places() {
            finder.place(place, path);
        }
        finder.discovery
    }
}

impl SearchPlace {
    /// Whether the user named this place. It may then have plugins that weren't installed.
    fn is_named(self) -> bool {
        matches!(self, Self::Given | Self::Variable)
    }
}

impl fmt::Display for SearchPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Given => "--plugin",
            Self::Variable => VARIABLE,
            Self::Cluster => "cluster",
            Self::User => "user",
            Self::System => "system",
        })
    }
}

struct Finder<'a> {
    trust: &'a Trust,
    discovery: Discovery,
    /// The files that were examined: a place may be named twice.
    seen: BTreeSet<PathBuf>,
    /// The locks of directories; `None` for a directory without one.
    locks: BTreeMap<PathBuf, Option<Lock>>,
}

impl Finder<'_> {
    fn problem(&mut self, path: &Path, error: impl Into<DiscoverError>) {
        self.discovery.problems.push(Problem { path: path.to_owned(), error: error.into() });
    }

    fn place(&mut self, place: SearchPlace, path: &Path) {
        if !place.is_named() && !path.exists() {
            return;
        }
        match self.candidates(path) {
            Ok(candidates) => candidates.into_iter().for_each(|candidate| self.candidate(place, candidate)),
            Err(error) => self.problem(path, error),
        }
    }

    fn candidates(&self, path: &Path) -> Result<Vec<Candidate>, DiscoverError> {
        if path.is_dir() {
            let real = self.trust.directory(path)?;
            Ok(scan::directory(&real)?)
        } else {
            Ok(vec![scan::file(path)?])
        }
    }

    fn candidate(&mut self, place: SearchPlace, candidate: Candidate) {
        let path = candidate.path.clone();
        match self.examine(place, candidate) {
            Ok(Some(found)) => match self.discovery.found.iter_mut().find(|first| first.name == found.name) {
                Some(first) => first.shadows.push(found.path),
                None => self.discovery.found.push(found),
            },
            Ok(None) => {}
            Err(error) => self.problem(&path, error),
        }
    }

    fn examine(&mut self, place: SearchPlace, candidate: Candidate) -> Result<Option<Found>, DiscoverError> {
        for file in candidate.read_first() {
            self.trust.file(&file)?;
        }
        let path = self.trust.file(&candidate.path)?;
        if !self.seen.insert(path.clone()) {
            return Ok(None);
        }
        let summary = candidate.summary()?;
        // The manifest, the pins and the lock are beside the file that was found, not beside the
        // target of a link.
        let directory =
            candidate.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for file in &summary.beside {
            self.trust.file(&directory.join(file))?;
        }
        let locked = match self.lock(directory)? {
            None => false,
            Some(lock) => {
                let used: Vec<String> = summary.beside.iter().map(|file| file.to_string_lossy().into_owned()).collect();
                let name = candidate.path.file_name().unwrap_or_default().to_string_lossy();
                let listed = lock.check(directory, &name, &used)?.is_some();
                if !listed && !place.is_named() {
                    return Err(LockError::Unlisted { path: candidate.path }.into());
                }
                listed
            }
        };
        let scan::Summary { name, version, provides, manifest, tools, .. } = summary;
        let kind = candidate.kind;
        Ok(Some(Found {
            name,
            version,
            provides,
            path,
            kind,
            manifest,
            tools,
            source: place,
            locked,
            shadows: Vec::new(),
        }))
    }

    /// The lock of a directory, read once.
    fn lock(&mut self, directory: &Path) -> Result<Option<&Lock>, DiscoverError> {
        let key = directory.to_owned();
        if !self.locks.contains_key(directory) {
            if let Some(lock) = Lock::read(directory)? {
                self.trust.file(&directory.join(super::lock::LOCK_FILE))?;
                self.locks.insert(key.clone(), Some(lock));
            } else {
                self.locks.insert(key.clone(), None);
            }
        }
        Ok(self.locks[&key].as_ref())
    }
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
