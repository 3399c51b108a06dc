//! Installs plugins into a directory, and removes them: from a file, a directory or an address, all
//! of it or nothing.
//!
//! This module must not load anything: the caller passes a check that can look into a library.

use super::archive::{self, ArchiveError};
use super::compare::Refusal;
use super::elf;
use super::fetch::{Address, FetchError};
use super::lock::{Entry, Lock, is_below};
use super::permissions::{Trust, Untrusted};
use super::scan::{self, Candidate, Described, Kind, ScanError};
use super::transaction::{Directory, Transaction, TransactionError};
use kubernix_toolchain::text::digits::sha256;
use kubernix_toolchain::text::nearest;
use semver::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Looks into a file that is about to be installed, and says why it can't be a plugin.
pub type Check<'a> = dyn Fn(&Path, Kind) -> Result<(), String> + 'a;

/// The check of a library's headers: whether it is one, whole, and for this machine. Nothing of it
/// runs.
///
/// # Errors
/// Why it can't be loaded here.
pub fn check_headers(path: &Path, kind: Kind) -> Result<(), String> {
    match kind {
        Kind::SharedLibrary => elf::check(path).map_err(|error| error.to_string()),
        Kind::Toml => Ok(()),
    }
}

/// A plugin that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The component's name.
    pub name: String,
    /// Its version; empty where it has none.
    pub version: String,
    /// The file that is loaded.
    pub path: PathBuf,
    /// The version that it replaced, if there was one.
    pub replaced: Option<String>,
}

/// Why nothing was installed or removed. Each message holds its cause.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It can't be downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It can't be unpacked.
    #[error("`{address}` can't be unpacked: {cause}")]
    Archive {
        /// Where it is from.
        address: String,
        /// Why.
        cause: ArchiveError,
    },
    /// It is no plugin.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// It isn't for this host.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its file is no plugin.
    #[error("{}: {reason}", path.display())]
    Check {
        /// The file, where it came from.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no plugin.
    #[error("`{0}` holds no plugin: one is `libX.so` with `X.toml` beside it, or a TOML component")]
    Nothing(String),
    /// Two plugins of one name.
    #[error("`{origin}` holds the component `{name}` twice, in `{}` and `{}`: install one of the files", first.display(), second.display())]
    Twice {
        /// What should be installed.
        origin: String,
        /// The component.
        name: String,
        /// One of its files.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A file is in the way.
    #[error("`{}` is in the way: it belongs to {owner}", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// Whose it is, and the way out.
        owner: String,
    },
    /// A file can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file of the plugin lies somewhere else.
    #[error("`{}` doesn't lie below `{}`, as all files of a plugin have to", path.display(), directory.display())]
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
        /// Where.
        directory: PathBuf,
        /// The nearest that there is, as the end of the message.
        hint: String,
    },
}

impl InstallError {
    /// Whether what was asked for is wrong, and not what was tried for it.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Fetch(error) => matches!(error, FetchError::Address { .. }),
            Self::Read { .. } | Self::Transaction(_) => false,
            _ => true,
        }
    }
}

/// Installs all plugins of a file, a directory or an address into a directory, which is made where
/// there is none. A plugin that is there already is replaced.
///
/// # Errors
/// Nothing was installed then, and what was there is as it was.
pub fn install(source: &str, into: &Path, check: &Check<'_>) -> Result<Vec<Installed>, InstallError> {
    let into = std::path::absolute(into).unwrap_or_else(|_| into.to_owned());
    // No other process has to wait for a download.
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
    free(&lock, &installed.keys().collect(), transaction.directory())?;
    transaction.commit(lock)?;
    directory.sweep(before.plugins.iter().flat_map(|entry| entry.sha256.keys()))?;
    Ok(installed.into_values().map(|(_, installed)| installed).collect())
}

/// Removes a plugin from a directory, with all of its files that no other one has as well.
///
/// # Errors
/// There is no such plugin, or a file can't be removed; trying again is fine.
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
    // The files first: a lock that still names them lets this be tried again.
    directory.sweep(entry.sha256.keys())?;
    directory.lock.write(&from).map_err(TransactionError::from)?;
    Ok(entry)
}

/// The plugins in what was downloaded from `source`.
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

/// Stages the files of a plugin, and checks what is staged: no other user can change that in
/// between.
fn stage(
    candidate: &Candidate,
    origin: &str,
    transaction: &mut Transaction<'_>,
    check: &Check<'_>,
) -> Result<Entry, InstallError> {
    let directory = candidate.path.parent().unwrap_or(Path::new("/"));
    let file = candidate.path.file_name().map(PathBuf::from).unwrap_or_default();
    let Described { beside, .. } = candidate.describe()?;
    let mut hashes = BTreeMap::new();
    for file in beside.into_iter().chain([file.clone()]) {
        let path = directory.join(&file);
        let outside = || InstallError::Outside { path: path.clone(), directory: directory.to_owned() };
        let name = file.to_str().filter(|_| is_below(&file)).ok_or_else(outside)?;
        let content = fs::read(&path).map_err(|cause| InstallError::Read { path: path.clone(), cause })?;
        hashes.insert(name.to_owned(), transaction.stage(name, &content)?);
    }
    let staged = Candidate { path: transaction.staged().join(&file), kind: candidate.kind };
    let described = staged.describe()?;
    let lost = described.beside.iter().find(|file| !hashes.contains_key(&*file.to_string_lossy()));
    if let Some(lost) = lost {
        let cause = io::Error::other("the plugin was changed while it was installed: try again");
        return Err(InstallError::Read { path: directory.join(lost), cause });
    }
    if let Some(manifest) = &described.manifest {
        manifest.compatible(&version(env!("CARGO_PKG_VERSION")), &version(kubernix_core::VERSION))?;
    }
    check(&staged.path, staged.kind).map_err(|reason| InstallError::Check { path: candidate.path.clone(), reason })?;
    Ok(Entry {
        name: described.name,
        version: described.version.unwrap_or_default(),
        file: file.to_string_lossy().into_owned(),
        origin: origin.to_owned(),
        sha256: hashes,
    })
}

/// A version of our own, which is one.
fn version(text: &str) -> Version {
    Version::parse(text).expect("a crate's version is one")
}

/// Checks that no new file takes the path of a file of another plugin, unless both are the same.
fn free(lock: &Lock, new: &BTreeSet<&String>, directory: &Directory) -> Result<(), InstallError> {
    for entry in lock.plugins.iter().filter(|entry| new.contains(&entry.name)) {
        for (file, hash) in &entry.sha256 {
            let path = directory.path().join(file);
            let other = |other: &&Entry| other.sha256.get(file).is_some_and(|theirs| theirs != hash);
            if let Some(other) = lock.plugins.iter().find(other) {
                let owner = format!("the plugin `{0}`: `kubernix plugin remove {0}` removes it", other.name);
                return Err(InstallError::InTheWay { path, owner });
            }
            let ours = directory.owner(file).is_some();
            if !ours && path.symlink_metadata().is_ok() && fs::read(&path).map_or(true, |bytes| sha256(&bytes) != *hash)
            {
                let owner = "no installed plugin: move it away".to_owned();
                return Err(InstallError::InTheWay { path, owner });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
