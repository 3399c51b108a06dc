//! `run.json`: describes a started process, so that a person can start it by hand. It is beside the
//! log.

use kubernix_core::Process;
use serde::{Deserialize, Serialize};

/// A started process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// The process as planned by its component.
    #[serde(flatten)]
    pub process: Process,
    /// `PATH` in its environment.
    pub path: String,
    /// Its PID in the cluster's PID namespace.
    pub pid: i32,
}
