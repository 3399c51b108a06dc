//! What goes wrong with certificates and keys.

use super::Renewal;
use jiff::Timestamp;
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
    /// A key that existing data depends on is missing or can't be used.
    #[error(
        "`{}` can't be used: {reason}. The cluster's data depends on it: restore that file, for instance from a \
         snapshot; or `up --renew {renewal}` makes a new one, and {}",
        path.display(), renewal.loss()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What makes a new one.
        renewal: Renewal,
    },
    /// The configuration of encryption at rest can't be used. It may be a user's own, so it is never replaced unasked.
    #[error(
        "`{}` is not a usable EncryptionConfiguration: {reason}. Correct it, or restore the file; or \
         `up --renew encryption` makes a new one, and {}",
        path.display(), Renewal::Encryption.loss()
    )]
    Encryption {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration of encryption at rest is usable, and holds more than a new key can be added to.
    #[error(
        "`{}` was edited, so `--renew encryption` can't add a key to it: put a new one first in its list of keys by \
         hand, and leave the old ones below it",
        path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
    },
    /// A certificate isn't valid yet.
    #[error(
        "the clock of this host is behind: it is {now}, and `{}` is not valid before {start}. Set the clock; if it was \
         ahead when that file was made, {way_out}",
        path.display()
    )]
    Clock {
        /// The certificate.
        path: PathBuf,
        /// What the clock says.
        now: Timestamp,
        /// When the certificate begins to be valid.
        start: Timestamp,
        /// What helps if the certificate is wrong, as the rest of a sentence.
        way_out: String,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, path: path.to_owned(), cause }
    }

    pub(super) fn write(cause: crate::root::Error) -> Self {
        Self::Write { cause: cause.into() }
    }

    pub(super) fn issue(name: impl Into<String>) -> impl FnOnce(rcgen::Error) -> Self {
        move |cause| Self::Issue { name: name.into(), cause }
    }
}
