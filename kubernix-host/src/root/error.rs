//! What goes wrong with a root directory.

use crate::sandbox::lock::LockError;
use ipnet::Ipv4Net;
use kubernix_toolchain::files::FileError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How many failures of a removal are printed; all of them are in [`Error::Remove`].
const SHOWN: usize = 20;

/// What goes wrong with a root directory. Each message holds its cause: there is no further chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such cluster.
    #[error("there is no cluster at `{}`", path.display())]
    Missing {
        /// The root directory.
        path: PathBuf,
    },
    /// Something else lies there.
    #[error(
        "`{}` is not a cluster's root directory: it exists without a state.json, so it is left alone, choose another --name or --root",
        path.display()
    )]
    NotACluster {
        /// The directory, or file.
        path: PathBuf,
    },
    /// It has what clusters have, but the file that says so is lost.
    #[error("`{}` has no state.json any more", path.display())]
    NoState {
        /// The root directory.
        path: PathBuf,
    },
    /// It would be the rest of a cluster, if something else weren't in it.
    #[error(
        "`{}` has no state.json, and `{name}` in it is no cluster's, so it is left alone: move `{name}` away, or remove the directory by hand",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What else is in it.
        name: String,
    },
    /// There is a cluster where a new one was to be.
    #[error("there is a cluster at `{}` already", path.display())]
    Exists {
        /// Its root directory.
        path: PathBuf,
    },
    /// It is a link, and so neither kept nor removed as one.
    #[error(
        "`{}` is a symbolic link: a cluster's root directory can't be one, choose a --root where it would be a directory",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A newer version made the directory.
    #[error(
        "`{}` was made by KuberNix {version} (format {format}, this version knows {known}): use that version, or another --name or --root; `down` removes it",
        path.display()
    )]
    NewerFormat {
        /// The root directory.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this version knows.
        known: u32,
        /// The version that made it.
        version: String,
    },
    /// A file that KuberNix keeps its own notes in can't be understood.
    #[error("`{}` can't be understood: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why, and the way out.
        reason: String,
    },
    /// Settings of another CIDR than the cluster's.
    #[error("the cluster at `{}` was made with `{made}`, its CIDR can't become `{wanted}`", path.display())]
    OtherCidr {
        /// The root directory.
        path: PathBuf,
        /// The cluster's.
        made: Ipv4Net,
        /// The settings'.
        wanted: Ipv4Net,
    },
    /// The file system says no.
    #[error("can't {action} `{}`: {cause}{}", path.display(), Advice(cause))]
    Io {
        /// What was tried: `write`, `remove`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something is mounted inside of what was to be removed.
    #[error("`{}` is a mount point: it and what is mounted there are left alone, unmount it first", path.display())]
    Mounted {
        /// Where.
        path: PathBuf,
    },
    /// Not all could be removed.
    #[error("`{}` could not be removed whole:{}", path.display(), Listed(failures))]
    Remove {
        /// The root directory.
        path: PathBuf,
        /// All that failed.
        failures: Vec<Error>,
    },
}

impl From<FileError> for Error {
    fn from(FileError { action, path, cause }: FileError) -> Self {
        Self::Io { action, path, cause }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Missing { path } => Self::Missing { path },
            LockError::Io { action, path, cause } => Self::Io { action, path, cause },
        }
    }
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), cause }
    }

    pub(crate) fn errno(action: &'static str, path: &Path, errno: nix::Error) -> Self {
        Self::io(action, path, errno.into())
    }
}

/// The way out of the failures of a disk.
struct Advice<'a>(&'a io::Error);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                f.write_str(", free some space there or choose another --root")
            }
            ErrorKind::ReadOnlyFilesystem => f.write_str(", choose a --root that can be written"),
            ErrorKind::PermissionDenied => f.write_str(", run as its owner or choose another --root"),
            _ => Ok(()),
        }
    }
}

/// Failures, a line each.
struct Listed<'a>(&'a [Error]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.0.iter().take(SHOWN) {
            write!(f, "\n  {failure}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
