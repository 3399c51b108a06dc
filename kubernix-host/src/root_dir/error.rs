//! Errors of root directories.

use crate::sandbox::lock::LockError;
use ipnet::Ipv4Net;
use kubernix_toolchain::files::FileError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How many failures of a removal are printed; all of them are in [`Error::Remove`].
const SHOWN: usize = 20;

/// An error of a root directory. Each message includes its cause: there is no source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster doesn't exist.
    #[error("there is no cluster at `{}`", path.display())]
    Missing {
        /// The root directory.
        path: PathBuf,
    },
    /// A directory or file exists there that isn't a cluster's.
    #[error(
        "`{}` is not a cluster's root directory: it exists without a state.json; choose another --name or --root",
        path.display()
    )]
    NotACluster {
        /// The directory, or file.
        path: PathBuf,
    },
    /// The directory has a cluster's content, but its `state.json` is lost.
    #[error("`{}` has no state.json any more", path.display())]
    NoState {
        /// The root directory.
        path: PathBuf,
    },
    /// The directory has a cluster's content without `state.json`, and a file that isn't a
    /// cluster's.
    #[error(
        "`{}` has no state.json, and `{name}` in it isn't a cluster's: move it away, or remove the directory by hand",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The name of the file.
        name: String,
    },
    /// A cluster exists where a new one should be created.
    #[error("there is a cluster at `{}` already", path.display())]
    Exists {
        /// Its root directory.
        path: PathBuf,
    },
    /// The path is a symbolic link, which is neither used nor removed.
    #[error(
        "`{}` is a symbolic link: a cluster's root directory can't be a link, choose another --root",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A newer version made the directory.
    #[error(
        "`{}` was made by KuberNix {version} (format {format}, this version knows {known}): \
         use that version, or another --name or --root; `down` removes it",
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
    /// A file of KuberNix itself can't be parsed.
    #[error("`{}` can't be understood: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason, and the way out.
        reason: String,
    },
    /// The settings have another CIDR than the cluster.
    #[error("the cluster at `{}` was made with `{made}`, its CIDR can't become `{wanted}`", path.display())]
    OtherCidr {
        /// The root directory.
        path: PathBuf,
        /// The cluster's.
        made: Ipv4Net,
        /// The settings'.
        wanted: Ipv4Net,
    },
    /// An operation on a file failed.
    #[error("can't {action} `{}`: {cause}{}", path.display(), Advice(cause))]
    Io {
        /// The operation: `write`, `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file system is mounted in the directory to remove.
    #[error("`{}` is a mount point and isn't removed: unmount it first", path.display())]
    Mounted {
        /// The mount point.
        path: PathBuf,
    },
    /// Not everything could be removed.
    #[error("`{}` could not be removed completely:{}", path.display(), Listed(failures))]
    Remove {
        /// The root directory.
        path: PathBuf,
        /// The files that couldn't be removed, each with its cause.
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

/// The advice for an error of the file system, as the rest of a sentence.
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

/// Errors, a line each.
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
