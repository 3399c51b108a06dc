//! What can be asked of a running cluster.

use super::Report;
use crate::api::Summary;
use crate::cri::Image;
use crate::network::Published;
use crate::network::publish::Protocol;
use crate::root::{Allotment, ClusterFile};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// The instances and their states.
    Report {
        /// Asks the probes of all instances first, which takes some seconds where one doesn't respond. Without it the
        /// answer comes at once, whatever the cluster does.
        #[serde(default)]
        check: bool,
    },
    /// The state in force, whole.
    State,
    /// What the Kubernetes API says of nodes and pods.
    Summary,
    /// The images of every node.
    Images,
    /// Imports an image into the store of every node that lacks it.
    Import {
        /// `oci-archive:PATH`, `docker-archive:PATH` or `oci:PATH`.
        archive: String,
        /// The image's name in it.
        name: String,
        /// Its ID: `sha256:...`.
        id: String,
    },
    /// Removes an image from every node's store.
    RemoveImage {
        /// One of its names.
        name: String,
    },
    /// The published ports.
    Ports,
    /// Publishes ports beside those that are, and saves them with the cluster: all or none.
    Publish {
        /// New ones.
        ports: Vec<Published>,
    },
    /// Publishes ports no longer, and forgets them; connections through them end.
    Unpublish {
        /// Those.
        ports: Vec<Published>,
    },
    /// Copies the directories of all instances that fill a role into [`Root::staging`](crate::root::Root::staging), as they are
    /// at one moment: their processes stand still meanwhile.
    CopyState {
        /// The role.
        role: String,
    },
    /// Goes over to another state. Events follow until `Changed` or `ChangeFailed`; meanwhile `Cancel` can be sent.
    Change(Box<ChangeRequest>),
    /// Undoes the change that was asked for on the same connection, unless it is committed by now.
    Cancel,
    /// What became of a change, for a command that lost the line.
    Outcome {
        /// The change's ID.
        id: String,
    },
    /// Gives the cluster another name.
    Rename {
        /// The name.
        name: String,
    },
    /// Ends everything in order. Events follow until the end.
    Stop,
    /// Ends everything at once.
    Kill,
}

/// The version of what is spoken on the control socket. Raised when an older cluster or command would misunderstand a
/// newer one; what is only new is noticed by its name.
pub const PROTOCOL: u32 = 2;

/// A request as it is sent: with the versions of its sender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// See [`PROTOCOL`].
    pub protocol: u32,
    /// The sender's version of KuberNix.
    pub kubernix: String,
    /// The request.
    #[serde(flatten)]
    pub request: Request,
}

impl Envelope {
    /// A request of this version.
    pub fn new(request: Request) -> Self {
        Self { protocol: PROTOCOL, kubernix: env!("CARGO_PKG_VERSION").into(), request }
    }
}

/// Another state of the cluster, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeRequest {
    /// Made up by the command, to ask for the outcome later.
    pub id: String,
    /// The revision of the state that this one was made from.
    pub base: u64,
    /// The settings, in the form of `kubernix.toml`.
    pub settings: String,
    /// The nodes and ports.
    pub allotment: Allotment,
    /// What the init would boot from.
    pub boot: serde_json::Value,
    /// A component whose instances are started anew even if their plans stay the same.
    #[serde(default)]
    pub component: Option<String>,
    /// Nodes that go for good: their pods move elsewhere first.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ChangeOutcome {
    /// It waits, or goes on.
    Pending,
    /// It is committed.
    Changed,
    /// It came to nothing.
    Failed {
        /// Why.
        error: String,
        /// What ran before runs again.
        restored: bool,
    },
    /// It was not begun.
    Refused {
        /// Why.
        error: String,
    },
    /// It was not begun: the state is another one than that which it was made from.
    Stale,
    /// The cluster knows of no such change.
    Unknown,
}

/// A port that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPort {
    /// Where the host answers.
    pub host: SocketAddr,
    /// Where that leads, inside.
    pub target: SocketAddr,
    /// What is spoken.
    pub protocol: Protocol,
    /// As it was written.
    pub spec: Published,
}

/// Images of one node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeImages {
    /// The node.
    pub node: String,
    /// Its images.
    pub images: Vec<Image>,
}

/// A copy of a component's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The component.
    pub component: String,
    /// Its version.
    pub version: String,
    /// For how long its processes stood still, in microseconds.
    pub paused_us: u64,
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// To `Report`.
    Report {
        /// The instances and their states.
        report: Report,
    },
    /// To `Summary`.
    Summary {
        /// What the API says.
        summary: Summary,
    },
    /// To `Images`.
    Images {
        /// By node.
        nodes: Vec<NodeImages>,
    },
    /// To `Import`: nodes that have it now and hadn't before.
    Imported {
        /// By name.
        nodes: Vec<String>,
    },
    /// To `RemoveImage`: nodes that had it.
    Removed {
        /// By name.
        nodes: Vec<String>,
    },
    /// To `Ports`, `Publish` and `Unpublish`: those that are published now.
    Ports {
        /// By place on the host.
        ports: Vec<OpenPort>,
    },
    /// To `CopyState`.
    Copied {
        /// What was copied.
        copied: Copied,
    },
    /// To `State`.
    State {
        /// As it is in `cluster.json`.
        state: Box<ClusterFile>,
    },
    /// To `Outcome`.
    Outcome {
        /// What became of it.
        outcome: ChangeOutcome,
    },
    /// To `Stop`: every instance has ended.
    Ended,
    /// The cluster doesn't know this request: it was started by another version of KuberNix.
    Unsupported {
        /// That version.
        kubernix: String,
        /// See [`PROTOCOL`].
        protocol: u32,
    },
    /// It has a new name.
    Renamed {
        /// The name.
        name: String,
    },
    /// It didn't work.
    Failed {
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NodeSummary;

    #[test]
    fn what_is_answered_can_be_read() {
        let ready = NodeSummary {
            name: "node-0".into(),
            ready: true,
            reason: String::new(),
            version: "v1".into(),
            runtime: String::new(),
        };
        let summary = Summary { nodes: vec![ready], ..Summary::default() };
        let line = serde_json::to_string(&Reply::Summary { summary: summary.clone() }).unwrap();
        match serde_json::from_str(&line).unwrap() {
            Reply::Summary { summary: read } => assert_eq!(read, summary),
            other => panic!("{other:?}"),
        }
    }
}
