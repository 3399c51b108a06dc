//! Errors of writing and reading snapshots.

use super::CopyError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why a snapshot can't be restored, although its content is undamaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The name of the cluster or of its CAs is invalid.
    #[error("{0}")]
    Name(String),
    /// A path isn't one of a cluster's files.
    #[error("`{0}` is not a file of a cluster")]
    UnknownFile(String),
    /// A path is listed twice.
    #[error("`{0}` is listed twice")]
    Duplicate(String),
    /// A file that every snapshot has is missing.
    #[error("it has no `{0}`")]
    MissingFile(&'static str),
    /// The data of the datastore is missing.
    #[error("it has no data of the datastore `{0}`")]
    NoData(String),
    /// An entry is a link, directory or special file.
    #[error("its entry `{0}` is not a regular file")]
    NotAFile(String),
    /// An entry isn't listed in the manifest.
    #[error("it has more entries than its manifest lists")]
    Unlisted,
}

/// Why a snapshot can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file isn't a snapshot.
    #[error("`{}` is not a snapshot of a cluster: {why}", path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A newer version wrote the snapshot.
    #[error(
        "`{}` was saved by KuberNix {version} in format {format}, this version supports {known}: restore it with that \
         version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this version supports.
        known: u32,
        /// The version that wrote it.
        version: String,
    },
    /// The snapshot is damaged.
    #[error(
        "the snapshot `{}` is damaged: {why}; use another one, `snapshot list` shows which are undamaged",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        why: String,
    },
    /// The content isn't that of a cluster.
    #[error("the snapshot `{}` can't be restored: {why}", path.display())]
    Hostile {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: Rejection,
    },
    /// There isn't enough free space for the content.
    #[error("the snapshot `{}` has {} MiB of content, but {} has only {} MiB free: free some space there or choose \
         another --root",
        path.display(), needed >> 20, place.display(), free >> 20)]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// The directory to restore into.
        place: PathBuf,
        /// The size of the content, in bytes.
        needed: u64,
        /// The free space, in bytes.
        free: u64,
    },
    /// The target exists and isn't a snapshot.
    #[error("`{}` exists and is not a snapshot, so it is not replaced: choose another name", .0.display())]
    Occupied(PathBuf),
    /// The data can't be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file operation failed.
    #[error("can't {action} `{}`: {cause}{}", path.display(), advice(cause))]
    Io {
        /// The operation: `write`, `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, path: path.to_owned(), cause }
    }

    /// Whether the user's input is the cause, and not the machine.
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
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => ", choose a writable directory",
        _ => "",
    }
}
