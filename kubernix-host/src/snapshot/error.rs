//! What is wrong with a snapshot, or with the place that it is written to.

use super::CopyError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is wrong with a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is something else.
    #[error("`{}` is not a snapshot of a cluster: {why}", path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// What tells.
        why: String,
    },
    /// A newer version wrote it.
    #[error(
        "`{}` was saved by KuberNix {version} in format {format}, this version knows {known}: restore it with that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest that this version knows.
        known: u32,
        /// The version that wrote it.
        version: String,
    },
    /// It isn't as it was written.
    #[error("the snapshot `{}` is damaged: {why}; take another, `snapshot list` says which are whole", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What tells.
        why: String,
    },
    /// It holds what no snapshot holds.
    #[error("the snapshot `{}` is not one to restore: {why}", path.display())]
    Hostile {
        /// The file.
        path: PathBuf,
        /// What.
        why: String,
    },
    /// There isn't enough space for what is in it.
    #[error("the snapshot `{}` holds {} MiB, and {} has {} MiB left: free some space there or choose another --root",
        path.display(), needed >> 20, place.display(), free >> 20)]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Where it was to go.
        place: PathBuf,
        /// What it holds, in bytes.
        needed: u64,
        /// What is left there, in bytes.
        free: u64,
    },
    /// The file that is to be written is something else already.
    #[error("`{}` is there and is no snapshot, so it is left alone: choose another name", .0.display())]
    Occupied(PathBuf),
    /// Something can't be in a snapshot.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The file system says no.
    #[error("can't {action} `{}`: {cause}{}", path.display(), advice(cause))]
    Io {
        /// What was tried: `write`, `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, path: path.to_owned(), cause }
    }

    /// Whether what was given is wrong, and not this machine.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NotASnapshot { .. } | Self::Newer { .. } | Self::Damaged { .. } | Self::Hostile { .. } => true,
            Self::Occupied(_) => true,
            Self::Io { action: "read", cause, .. } => cause.kind() == ErrorKind::NotFound,
            Self::NoSpace { .. } | Self::Copy(_) | Self::Io { .. } => false,
        }
    }
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ", free some space there",
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => ", choose a place that can be written",
        _ => "",
    }
}
