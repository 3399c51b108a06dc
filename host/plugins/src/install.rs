//! Installs plugins into a directory, from a file, a directory or an address, and removes them.
//! Everything is installed or nothing.
//!
//! This module must not load anything. The caller passes the check of a library.

use super::archive::{self, ArchiveError};
use super::compare::Incompatible;
use super::elf::{self, ElfError};
use super::fetch::{Address, FetchError};
use super::lock::{Entry, Lock, is_below};
use super::permissions::{Trust, Untrusted};
use super::scan::{self, Candidate, Kind, ScanError, Summary};
use super::transaction::{Directory, Transaction, TransactionError};
use kubernix_toolchain::text::digits::sha256;
use kubernix_toolchain::text::nearest;
use semver::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Checks whether a file can be a plugin before it is installed.
pub type Check<'a> = dyn Fn(&Path, Kind) -> Result<(), ElfError> + 'a;

/// Checks the headers of a library: it must be complete, and for this machine. Nothing of it is
/// run.
///
/// # Errors
/// It can't be loaded here.
pub fn check_headers(path: &Path, kind: Kind) -> Result<(), ElfError> {
    match kind {
        Kind::SharedLibrary => elf::check(path),
        Kind::Toml => Ok(()),
    }
}

/// A plugin that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The component's name.
    pub name: String,
    /// Its version; empty if it has none.
    pub version: String,
    /// The file that is loaded.
    pub path: PathBuf,
    /// The version that it replaced, if there was one.
    pub replaced: Option<String>,
}

/// Why nothing was installed or removed. Each message includes its cause.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It can't be downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It can't be unpacked.
    #[error("`{address}` can't be unpacked: {cause}")]
    Archive {
        /// The address.
        address: String,
        /// The cause.
        cause: ArchiveError,
    },
    /// It isn't a plugin.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// It doesn't work with this host.
    #[error(transparent)]
    Incompatible(#[from] Incompatible),
    /// Its library can't be loaded here.
    #[error("{}: {cause}", path.display())]
    Check {
        /// The original file.
        path: PathBuf,
        /// The cause.
        cause: ElfError,
    },
    /// There is no plugin.
    #[error("`{0}` has no plugin, which is `libX.so` with `X.toml` beside it, or a TOML component")]
    Nothing(String),
    /// Two plugins have the same name.
    #[error("`{origin}` has the component `{name}` twice, in `{}` and `{}`: install one of the files", first.display(), second.display())]
    Twice {
        /// The path or address to install from.
        origin: String,
        /// The component.
        name: String,
        /// One of its files.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A file of another plugin has the same name, and another content.
    #[error(
        "`{}` exists: it belongs to the plugin `{other}`, which `kubernix plugin remove {other}` removes",
        path.display()
    )]
    OtherPlugin {
        /// The file.
        path: PathBuf,
        /// The plugin.
        other: String,
    },
    /// A file that wasn't installed has the same name, and another content.
    #[error("`{}` exists and wasn't installed by `kubernix plugin install`: move it away", .0.display())]
    NotInstalled(PathBuf),
    /// A file can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file of the plugin is outside of its directory.
    #[error("`{}` isn't below `{}`, where all files of the plugin have to be", path.display(), directory.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// The plugin's directory.
        directory: PathBuf,
    },
    /// The directory isn't trusted.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The directory can't be changed.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// There is no such plugin.
    #[error("no plugin `{name}` is installed in `{}`{hint}", directory.display())]
    Unknown {
        /// The name.
        name: String,
        /// The directory.
        directory: PathBuf,
        /// The most similar name, as the end of the message.
        hint: String,
    },
}

impl InstallError {
    /// Whether the input is wrong, as opposed to a failed operation.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Fetch(error) => matches!(error, FetchError::Address { .. }),
            Self::Read { .. } | Self::Transaction(_) => false,
            _ => true,
        }
    }
}

/// Installs all plugins of a file, a directory or an address into a directory, which is created if
/// it doesn't exist. An installed plugin of the same name is replaced.
///
/// # Errors
/// A plugin can't be installed. Nothing has changed then.
pub fn install(source: &str, into: &Path, check: &Check<'_>) -> Result<Vec<Installed>, InstallError> {
    let into = std::path::absolute(into).unwrap_or_else(|_| into.to_owned());
    // Downloaded before the directory is locked.
    let address = Address::parse(source)?;
    let downloaded = address.map(|address| Ok::<_, FetchError>((address.fetch()?, address))).transpose()?;
    let mut directory = Directory::open(&into)?;
    Trust::of_process().directory(&into)?;
    let before = directory.lock.clone();
    let mut transaction = directory.begin()?;
    let (origin, candidates) = match downloaded {
        Some((bytes, address)) => (source.to_owned(), unpacked(&bytes, &address, source, &transaction.scratch()?)?),
        None => {
            let path = std::path::absolute(source).unwrap_or_else(|_| source.into());
            (path.display().to_string(), local(&path)?)
        }
    };
    if candidates.is_empty() {
        return Err(InstallError::Nothing(origin));
    }
    let mut lock = before.clone();
    let mut installed = BTreeMap::<String, (PathBuf, Installed)>::new();
    for candidate in &candidates {
        let entry = stage(candidate, &origin, &mut transaction, check)?;
        if let Some((first, _)) = installed.get(&entry.name) {
            let (first, second) = (first.clone(), candidate.path.clone());
            return Err(InstallError::Twice { origin, name: entry.name, first, second });
        }
        let replaced = before.get(&entry.name).map(|entry| entry.version.clone());
        let (name, version, path) = (entry.name.clone(), entry.version.clone(), into.join(&entry.file));
        installed.insert(name.clone(), (candidate.path.clone(), Installed { name, version, path, replaced }));
        lock.plugins.retain(|other| other.name != entry.name);
        lock.plugins.push(entry);
    }
    check_conflicts(&lock, &installed.keys().collect(), transaction.directory())?;
    transaction.commit(lock)?;
    directory.sweep(before.plugins.iter().flat_map(|entry| entry.sha256.keys()))?;
    Ok(installed.into_values().map(|(_, installed)| installed).collect())
}

/// Removes a plugin from a directory, with all files that no other plugin has.
///
/// # Errors
/// There is no such plugin, or a file can't be removed. It can be tried again.
pub fn remove(name: &str, from: &Path) -> Result<Entry, InstallError> {
    let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
    let unknown = |lock: &Lock| {
        let hint = nearest(name, lock.plugins.iter().map(|entry| entry.name.as_str()));
        InstallError::Unknown { name: name.to_owned(), directory: from.clone(), hint }
    };
    if !from.is_dir() {
        return Err(unknown(&Lock::default()));
    }
    let mut directory = Directory::open(&from)?;
    Trust::of_process().directory(&from)?;
    let Some(at) = directory.lock.plugins.iter().position(|entry| entry.name == name) else {
        return Err(unknown(&directory.lock));
    };
    let entry = directory.lock.plugins.remove(at);
    // The files are removed before the lock changes, so that a failure can be repeated.
    directory.sweep(entry.sha256.keys())?;
    directory.lock.write(&from).map_err(TransactionError::from)?;
    Ok(entry)
}

/// The plugins in a download from `source`.
fn unpacked(bytes: &[u8], address: &Address, source: &str, scratch: &Path) -> Result<Vec<Candidate>, InstallError> {
    let failed = |cause| InstallError::Archive { address: source.to_owned(), cause };
    if address.has_extension("toml") {
        let path = scratch.join(address.file_name());
        fs::write(&path, bytes).map_err(|cause| failed(ArchiveError::Write { path: path.clone(), cause }))?;
        return Ok(vec![scan::file(&path)?]);
    }
    Ok(scan::directory(&archive::unpack(bytes, scratch).map_err(failed)?)?)
}

/// The plugins in a file or directory.
fn local(path: &Path) -> Result<Vec<Candidate>, InstallError> {
    match fs::metadata(path) {
        Err(cause) => Err(InstallError::Read { path: path.to_owned(), cause }),
        Ok(meta) if meta.is_dir() => Ok(scan::directory(path)?),
        Ok(_) => Ok(vec![scan::file(path)?]),
    }
}

/// Stages the files of a plugin, and checks the staged files, which no other process can change.
fn stage(
    candidate: &Candidate,
    origin: &str,
    transaction: &mut Transaction<'_>,
    check: &Check<'_>,
) -> Result<Entry, InstallError> {
    let directory = candidate.path.parent().unwrap_or(Path::new("/"));
    let file = candidate.path.file_name().map(PathBuf::from).unwrap_or_default();
    let Summary { beside, .. } = candidate.summary()?;
    let mut hashes = BTreeMap::new();
    for file in beside.into_iter().chain([file.clone()]) {
        let path = directory.join(&file);
        let outside = || InstallError::Outside { path: path.clone(), directory: directory.to_owned() };
        let name = file.to_str().filter(|_| is_below(&file)).ok_or_else(outside)?;
        let content = fs::read(&path).map_err(|cause| InstallError::Read { path: path.clone(), cause })?;
        hashes.insert(name.to_owned(), transaction.stage(name, &content)?);
    }
    let staged = Candidate { path: transaction.staged().join(&file), kind: candidate.kind };
    let summary = staged.summary()?;
    let missing = summary.beside.iter().find(|file| !hashes.contains_key(&*file.to_string_lossy()));
    if let Some(missing) = missing {
        let cause = io::Error::other("the plugin was changed during its installation: try again");
        return Err(InstallError::Read { path: directory.join(missing), cause });
    }
    if let Some(manifest) = &summary.manifest {
        manifest.compatible(&version(env!("CARGO_PKG_VERSION")), &version(kubernix_core::VERSION))?;
    }
    check(&staged.path, staged.kind).map_err(|cause| InstallError::Check { path: candidate.path.clone(), cause })?;
    Ok(Entry {
        name: summary.name,
        version: summary.version.unwrap_or_default(),
        file: file.to_string_lossy().into_owned(),
        origin: origin.to_owned(),
        sha256: hashes,
    })
}

/// A version of this build.
fn version(text: &str) -> Version {
    Version::parse(text).expect("a crate's version is one")
}

/// Checks that no new file would replace a different file of another plugin, or one that wasn't
/// installed.
fn check_conflicts(lock: &Lock, new: &BTreeSet<&String>, directory: &Directory) -> Result<(), InstallError> {
    for entry in lock.plugins.iter().filter(|entry| new.contains(&entry.name)) {
        for (file, hash) in &entry.sha256 {
            let path = directory.path().join(file);
            let other = |other: &&Entry| other.sha256.get(file).is_some_and(|theirs| theirs != hash);
            if let Some(other) = lock.plugins.iter().find(other) {
                return Err(InstallError::OtherPlugin { path, other: other.name.clone() });
            }
            let is_installed = directory.owner(file).is_some();
            if !is_installed
                && path.symlink_metadata().is_ok()
                && fs::read(&path).map_or(true, |bytes| sha256(&bytes) != *hash)
            {
                return Err(InstallError::NotInstalled(path));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
