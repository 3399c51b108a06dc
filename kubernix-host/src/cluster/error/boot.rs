//! Errors of a boot.

use super::lines;
use crate::settings::Call;
use std::path::Path;

/// A boot failed. Everything that it had started is stopped and removed.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Components report that this host lacks what they need.
    #[error("this host can't run the cluster:{}", lines(.0))]
    Preflight(Vec<String>),
    /// A component failed to start, or didn't become ready in time.
    #[error(
        "cluster `{}` didn't boot: {why}\nIts logs are kept in {}; `{}` removes them",
        .call.name(), .root.display(), .call.to("down")
    )]
    Failed {
        /// The cluster.
        call: Call,
        /// The reason.
        why: String,
        /// Its root directory.
        root: Box<Path>,
        /// The boot exceeded its time limit.
        timed_out: bool,
    },
    /// Another command ended the cluster during the boot.
    #[error(
        "cluster `{}` was ended during its boot by another `kubernix {by}`: `{}` boots it again",
        .call.name(), .call.to("up")
    )]
    Revoked {
        /// The cluster.
        call: Call,
        /// The other command.
        by: &'static str,
    },
}

impl BootError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Preflight(_) => 1,
            Self::Failed { timed_out: false, .. } => 6,
            Self::Failed { timed_out: true, .. } => 7,
            Self::Revoked { .. } => 5,
        }
    }
}
