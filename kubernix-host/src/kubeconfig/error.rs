//! Errors of reading and changing the user's kubeconfig.

use std::io;
use std::path::PathBuf;

/// Why the user's kubeconfig can't be read or changed. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not a kubeconfig.
    #[error("{}:{line}:{column}: not a kubeconfig: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column in characters, from 1.
        column: u64,
        /// What is wrong there.
        reason: String,
    },
    /// An entry with the cluster's name belongs to something else.
    #[error(
        "{}: the {kind} `{name}` doesn't belong to this cluster, so it is not changed: rename or remove it \
         (`kubectl config delete-{kind} {name}`), or choose another --name",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// `cluster`, `user` or `context`.
        kind: &'static str,
        /// The entry's name.
        name: String,
    },
    /// An edit of the text would change other entries as well.
    #[error(
        "{}: the layout of this kubeconfig can't be edited without changing other entries: add the entries of \
         {} by hand",
        path.display(), own.display()
    )]
    Uneditable {
        /// The file.
        path: PathBuf,
        /// The cluster's own kubeconfig.
        own: PathBuf,
    },
    /// Another program holds the lock.
    #[error("{}: another program is changing this kubeconfig; if none is, remove {}", path.display(), lock.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Its lock.
        lock: PathBuf,
    },
    /// The path is a directory or a special file.
    #[error("{}: not a regular file, so it can't be a kubeconfig", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Neither `KUBECONFIG` nor a home directory is set.
    #[error("can't find a kubeconfig, because no home directory is known: set HOME or KUBECONFIG")]
    NoHome,
    /// The cluster has no kubeconfig of its own yet.
    #[error("{}: this cluster has no kubeconfig yet: it was never booted", path.display())]
    NeverBooted {
        /// Where it would be.
        path: PathBuf,
    },
    /// The cluster's own kubeconfig is damaged.
    #[error("{}: this kubeconfig is damaged: `stop` and `up` of the cluster rewrite it", path.display())]
    OwnDamaged {
        /// The cluster's own kubeconfig.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("can't {action} the kubeconfig {}: {cause}", path.display())]
    Io {
        /// The operation: `read`, `write`, `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause }
    }

    /// Whether the user's files or environment are the cause, and not the system.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Locked { .. } | Self::OwnDamaged { .. })
    }
}
