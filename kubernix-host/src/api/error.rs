//! What can go wrong between us and an API server.

use super::transport::{Failure, FailureKind};
use std::path::PathBuf;

/// Why the Kubernetes API could not be spoken to, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate or key can't be used.
    #[error("cannot use the {what} `{path}`: {cause}")]
    File {
        /// `certificate`, `private key` or `CA certificate`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Not the URL of a server.
    #[error("`{url}` is not the URL of an API server: expected https://IP:PORT")]
    Url {
        /// What was given.
        url: String,
    },
    /// A request failed or was refused.
    #[error("cannot {doing}: {cause}")]
    Request {
        /// What was wanted: `list nodes`.
        doing: String,
        /// Why it failed.
        cause: String,
        /// To ask again won't help.
        hopeless: bool,
    },
    /// A condition didn't come true before its deadline.
    #[error("{what} is not there in time: {last}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// What was seen last.
        last: String,
    },
    /// A manifest can't be understood.
    #[error("manifest `{name}`: {cause}")]
    Manifest {
        /// The manifest's name.
        name: String,
        /// What is wrong with it, and where.
        cause: String,
    },
}

impl Error {
    /// A request that failed, in words.
    pub(crate) fn request(doing: &str, server: &str, error: &kube::Error) -> Self {
        let failure = Failure::of_api(server, error);
        let hopeless = failure.kind == FailureKind::Hopeless;
        Self::Request { doing: doing.to_owned(), cause: failure.text, hopeless }
    }
}
