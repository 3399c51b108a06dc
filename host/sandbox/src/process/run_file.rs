//! `run.json`: what was started, beside its log, so that a person can start the same by hand.

use kubernix_core::Process;
use serde::{Deserialize, Serialize};

/// What was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// The process as its component planned it.
    #[serde(flatten)]
    pub process: Process,
    /// `PATH` of its environment.
    pub path: String,
    /// Its process ID inside the cluster's PID namespace.
    pub pid: i32,
}
