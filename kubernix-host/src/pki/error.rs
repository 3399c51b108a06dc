//! Errors of creating and checking certificates and keys.

use super::Renewal;
use super::secrets::Unusable;
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};

/// Why certificates, keys or kubeconfigs can't be created or used. Each message includes its cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file can't be read, or its mode can't be changed.
    #[error("can't {action} `{}`: {cause}", path.display())]
    Io {
        /// The operation: `read`, `change the mode of`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// A file can't be written.
    #[error("{cause}")]
    Write {
        /// The error, which names the file.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate can't be created, for instance because a name isn't ASCII.
    #[error("can't create the certificate of {name}: {cause}")]
    Issue {
        /// The owner of the certificate.
        name: String,
        /// Why it failed.
        cause: rcgen::Error,
    },
    /// The system provides no random bytes.
    #[error("can't create a random key: the system's random number generator failed")]
    Random,
    /// A key that existing data depends on is missing or can't be used.
    #[error(
        "`{}` can't be used: {reason}. The cluster's data depends on it: restore that file, for instance from a \
         snapshot. Or create a new one with `up --renew {renewal}`: {}",
        path.display(), renewal.loss()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The kind of key, for `--renew`.
        renewal: Renewal,
    },
    /// The configuration of encryption at rest can't be used. The user may have written it, so it
    /// is replaced only on demand.
    #[error(
        "`{}` is not a usable EncryptionConfiguration: {reason}. Correct or restore the file. Or create a new one with \
         `up --renew encryption`: {}",
        path.display(), Renewal::Encryption.loss()
    )]
    Encryption {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Unusable,
    },
    /// The configuration of encryption at rest is usable, but was edited, so a new key can't be
    /// added.
    #[error(
        "`{}` was edited, so `--renew encryption` can't add a key to it: insert a new key by hand at the top of its \
         list of keys, and keep the old ones below it",
        path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
    },
    /// A certificate isn't valid yet.
    #[error(
        "the clock of this host is behind: it is {now}, and `{}` is not valid before {start}. Set the clock; if it was \
         ahead when that file was created, {way_out}",
        path.display()
    )]
    Clock {
        /// The certificate.
        path: PathBuf,
        /// The time of the host's clock.
        now: Timestamp,
        /// When the certificate begins to be valid.
        start: Timestamp,
        /// What to do if the certificate is wrong, as the end of a sentence.
        way_out: String,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action, path: path.to_owned(), cause }
    }

    pub(super) fn write(cause: crate::root_dir::Error) -> Self {
        Self::Write { cause: cause.into() }
    }

    pub(super) fn issue(name: impl Into<String>) -> impl FnOnce(rcgen::Error) -> Self {
        move |cause| Self::Issue { name: name.into(), cause }
    }
}
