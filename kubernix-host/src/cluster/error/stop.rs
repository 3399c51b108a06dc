//! Errors of `stop` and `down`.

use super::remaining;
use crate::sandbox::carriers::Part;
use crate::settings::Call;
use std::time::Duration;

/// A cluster couldn't be stopped or ended.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The ordered stop exceeded its time limit.
    #[error(
        "cluster `{}` isn't stopped after {} s{}\n\
         `{}` shows what it waits for; `{}` ends it at once and destroys its data",
        .call.name(), .limit.as_secs(), remaining(.left), .call.to("status"), .call.to("down")
    )]
    NotStopped {
        /// The cluster.
        call: Call,
        /// How long it had.
        limit: Duration,
        /// Its processes that still run.
        left: Vec<String>,
    },
    /// Processes don't react to SIGKILL, or another command holds the cluster's lock.
    #[error(
        "cluster `{}` isn't ended after {} s{}: once they are gone, run `{}` again to remove it",
        .call.name(), .limit.as_secs(), remaining(.left), .call.to("down")
    )]
    NotEnded {
        /// The cluster.
        call: Call,
        /// How long it had.
        limit: Duration,
        /// The processes.
        left: Vec<String>,
    },
    /// The keeper or the init is stopped by a signal, so an ordered stop would never end.
    #[error(
        "the {part} of cluster `{}` (process {pid}) is suspended: `kill -CONT {pid}` resumes it;\n\
         `{}` ends the cluster and destroys its data",
        .call.name(), .call.to("down")
    )]
    Suspended {
        /// The cluster.
        call: Call,
        /// Which of the two.
        part: Part,
        /// Its process ID on the host.
        pid: i32,
    },
}

impl StopError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NotStopped { .. } | Self::NotEnded { .. } => 7,
            Self::Suspended { .. } => 1,
        }
    }
}
