//! What goes wrong with certificates and keys.

use std::io;
use std::path::{Path, PathBuf};

/// What goes wrong with certificates, keys and kubeconfigs. Each message holds its cause: there is no further chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory can't be read or made.
    #[error("can't {action} `{}`: {cause}", path.display())]
    Io {
        /// What was tried: `read`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// A file can't be written.
    #[error("{cause}")]
    Write {
        /// Names the file and why it failed.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate can't be made, for instance of a name that isn't ASCII.
    #[error("can't make the certificate of {name}: {cause}")]
    Issue {
        /// Whose certificate.
        name: String,
        /// Why it failed.
        cause: rcgen::Error,
    },
    /// The system gives no random bytes.
    #[error("can't make a random key: the system's random number generator failed")]
    Random,
    /// The configuration of encryption at rest can't be used, and a new one would lose what was stored with it.
    #[error(
        "`{}` is not a usable EncryptionConfiguration: {reason}; bring back the file as it was, or remove it, by which all \
         Secrets that were stored with its key are lost",
        path.display()
    )]
    Encryption {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, path: path.to_owned(), cause }
    }

    pub(super) fn issue(name: impl Into<String>) -> impl FnOnce(rcgen::Error) -> Self {
        move |cause| Self::Issue { name: name.into(), cause }
    }
}
