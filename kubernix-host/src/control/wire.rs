//! What a running cluster says of itself on the control socket.
//!
//! These are the forms on the wire: names and fields stay as older commands and clusters know them.
//! The engine has types of its own and converts them. Must not know how the engine decides.

use crate::plugins::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// For the roles that it needs.
    Waiting,
    /// Its processes run, its probes haven't passed yet.
    Starting,
    /// All its probes passed.
    Ready,
    /// Its processes run, and a probe that had passed doesn't pass any more.
    Unresponsive,
    /// A process ended and is being started again.
    Restarting,
    /// A process ended and stays down.
    Failed,
    /// It is being ended.
    Stopping,
    /// It has ended.
    Stopped,
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unresponsive => "unresponsive",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        })
    }
}

/// Where a cluster is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterState {
    /// It boots.
    Booting,
    /// The boot is over, and every instance is ready.
    Running,
    /// The boot is over, and some instance isn't ready.
    Degraded,
    /// A command changes it.
    Changing,
    /// It ends.
    Stopping,
}

/// What is said of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// Its name: `CRI-O (node 0)`.
    pub instance: String,
    /// The component's name.
    pub component: String,
    /// Its phase.
    pub phase: String,
    /// The node it is on.
    pub node: Option<String>,
    /// Where the component comes from.
    pub source: Source,
    /// The component's version.
    pub version: String,
    /// Roles that it fills.
    pub roles: Vec<String>,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Why it isn't ready, where there is more to say than its state.
    #[serde(default)]
    pub reason: Option<String>,
    /// Process IDs inside the cluster's PID namespace.
    pub pids: Vec<i32>,
    /// How often one of its processes was started again.
    pub restarts: u32,
    /// Its logs.
    pub logs: Vec<PathBuf>,
}

/// What is said of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// All instances, in boot order.
    pub instances: Vec<InstanceReport>,
    /// Nodes with namespaces of their own that run, each with its first process as the init numbers
    /// it.
    #[serde(default)]
    pub nodes: BTreeMap<String, i32>,
    /// When the boot began: Unix time in milliseconds.
    pub booted_at_ms: u64,
    /// The boot is over and the cluster can be used.
    pub ready: bool,
    /// The boot is over; parts may be starting again.
    #[serde(default)]
    pub booted: bool,
    /// It is being ended.
    #[serde(default)]
    pub ending: bool,
    /// Where the cluster is in its life; `None` from a cluster that doesn't say.
    #[serde(default)]
    pub state: Option<ClusterState>,
    /// The revision of the state that is in force.
    #[serde(default)]
    pub revision: u64,
    /// The version of KuberNix that runs it; empty from one that doesn't say.
    #[serde(default)]
    pub kubernix: String,
}
