//! Errors of the client of the Kubernetes API.

use super::transport::{Failure, FailureKind};
use std::path::PathBuf;

/// Why a request to the Kubernetes API failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate or key can't be used.
    #[error("cannot use the {what} `{path}`: {cause}")]
    File {
        /// `certificate`, `private key` or `CA certificate`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it can't be used.
        cause: String,
    },
    /// The URL is invalid.
    #[error("`{url}` is not the URL of an API server: expected https://IP:PORT")]
    Url {
        /// The text.
        url: String,
    },
    /// A request failed or was rejected.
    #[error("cannot {doing}: {cause}")]
    Request {
        /// The operation: `list nodes`.
        doing: String,
        /// Why it failed.
        cause: String,
        /// A retry would fail as well.
        permanent: bool,
    },
    /// A condition wasn't met before its deadline.
    #[error("timed out waiting for {what}: {last}")]
    TimedOut {
        /// The condition: `a Ready node`.
        what: String,
        /// The last observation.
        last: String,
    },
    /// A manifest is malformed.
    #[error("manifest `{name}`: {cause}")]
    Manifest {
        /// The manifest's name.
        name: String,
        /// What is wrong with it, and where.
        cause: String,
    },
}

impl Error {
    /// The error of a failed request.
    pub(crate) fn request(doing: &str, server: &str, error: &kube::Error) -> Self {
        let failure = Failure::of_api(server, error);
        let permanent = failure.kind == FailureKind::Permanent;
        Self::Request { doing: doing.to_owned(), cause: failure.text, permanent }
    }
}
