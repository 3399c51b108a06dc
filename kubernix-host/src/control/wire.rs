//! The data that crosses the control socket.
//!
//! Names and fields stay as older commands and clusters know them. The engine and the commands have
//! types of their own and convert them. Must not know these types.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// It waits for the roles that it requires.
    Waiting,
    /// Its processes run, but its probes haven't passed yet.
    Starting,
    /// All its probes passed.
    Ready,
    /// Its processes run, and a probe that had passed doesn't pass any more.
    Unresponsive,
    /// A process exited and is being restarted.
    Restarting,
    /// A process exited and isn't restarted.
    Failed,
    /// It is being stopped.
    Stopping,
    /// It has stopped.
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

/// The state of a cluster.
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

/// The report on an instance.
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
    /// Its state.
    pub state: InstanceState,
    /// Why it isn't ready, if its state doesn't tell.
    #[serde(default)]
    pub reason: Option<String>,
    /// Process IDs inside the cluster's PID namespace.
    pub pids: Vec<i32>,
    /// How often one of its processes was restarted.
    pub restarts: u32,
    /// Its logs.
    pub logs: Vec<PathBuf>,
}

/// The report on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// All instances, in boot order.
    pub instances: Vec<InstanceReport>,
    /// Running nodes with namespaces of their own, each with the PID of its first process in the
    /// init's PID namespace.
    #[serde(default)]
    pub nodes: BTreeMap<String, i32>,
    /// When the boot began: Unix time in milliseconds.
    pub booted_at_ms: u64,
    /// The boot is over and the cluster can be used.
    pub ready: bool,
    /// The boot is over. Parts may be restarting.
    #[serde(default)]
    pub booted: bool,
    /// It is being stopped.
    #[serde(default)]
    pub ending: bool,
    /// The cluster's state. `None` from a version that doesn't send it.
    #[serde(default)]
    pub state: Option<ClusterState>,
    /// The revision of the state that is in force.
    #[serde(default)]
    pub revision: u64,
    /// The version of KuberNix that runs it. Empty from a version that doesn't send it.
    #[serde(default)]
    pub kubernix: String,
}

/// The source of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// Compiled into `kubernix`.
    BuiltIn,
    /// A shared library.
    SharedLibrary {
        /// Its file.
        path: PathBuf,
    },
    /// A TOML file.
    Toml {
        /// Its file.
        path: PathBuf,
    },
    /// A manifest, or a directory of manifests.
    Manifests {
        /// The file or directory.
        path: PathBuf,
    },
}

/// The nodes and pods of the Kubernetes API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All nodes, by name.
    pub nodes: Vec<NodeSummary>,
    /// Number of pods by phase.
    pub pods: BTreeMap<String, usize>,
}

/// A node of the Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// The node's name.
    pub name: String,
    /// Its Ready condition is true.
    pub ready: bool,
    /// The message of the Ready condition if it isn't true; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The kubelet's version: `v1.36.3`.
    pub version: String,
    /// The container runtime's name and version: `cri-o://1.36.3`.
    pub runtime: String,
}

/// The images of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeImages {
    /// The node.
    pub node: String,
    /// Its images.
    pub images: Vec<Image>,
}

/// An image in a runtime's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The runtime's own identifier: a digest.
    pub id: String,
    /// Names with tags, then names with digests; fully qualified.
    pub names: Vec<String>,
    /// Size in bytes.
    pub size: u64,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPort {
    /// The address on the host.
    pub host: SocketAddr,
    /// The address inside the sandbox that connections are forwarded to.
    pub target: SocketAddr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port as the user specified it: `127.0.0.1:8080:30080`, `[::1]:5353:30053/udp`.
    pub spec: String,
}
