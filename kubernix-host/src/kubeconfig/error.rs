//! What goes wrong with a kubeconfig that is the user's.

use std::io;
use std::path::PathBuf;

/// What goes wrong with a kubeconfig that is the user's. Nothing was written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It doesn't say what a kubeconfig says.
    #[error("{}:{line}:{column}: this is no kubeconfig: {reason}", path.display())]
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
    /// Somebody else's entry has the name of ours.
    #[error(
        "{}: the {kind} `{name}` there is not of this cluster, and stays: rename or remove it (`kubectl config delete-{kind} {name}`), or choose another --name",
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
    /// The edited text would say something else as well.
    #[error("{}: it is written in a way that can't be edited without changing more of it; what is to come in is in {}", path.display(), own.display())]
    Uneditable {
        /// The file.
        path: PathBuf,
        /// The cluster's own kubeconfig.
        own: PathBuf,
    },
    /// Another program changes it.
    #[error("{}: another program is changing this kubeconfig; if none is, remove {}", path.display(), lock.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Its lock.
        lock: PathBuf,
    },
    /// Something else lies there.
    #[error("{}: this is not a file, and so no kubeconfig", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// There is no place for a kubeconfig.
    #[error("no home directory is known to keep a kubeconfig in: set HOME or KUBECONFIG")]
    NoHome,
    /// The cluster has no kubeconfig of its own yet.
    #[error("{}: this cluster has no kubeconfig yet: it was never booted", path.display())]
    NeverBooted {
        /// Where it would be.
        path: PathBuf,
    },
    /// The cluster's own kubeconfig is damaged.
    #[error("{}: this kubeconfig is damaged: `stop` and `up` of the cluster write it anew", path.display())]
    OwnDamaged {
        /// The cluster's own kubeconfig.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("can't {action} the kubeconfig {}: {cause}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `lock`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { action, path, cause }
    }

    /// Whether what the user has there is the matter.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Locked { .. } | Self::OwnDamaged { .. })
    }
}
