//! The requests to a running cluster, and its replies.
//!
//! Their data is in [`wire`](super::wire), but for the committed state: that crosses the socket in
//! the versioned format of `cluster.json`.

use super::wire::{NodeImages, OpenPort, Report, Summary};
use crate::root_dir::{Allotment, ClusterFile};
use serde::{Deserialize, Serialize};

/// A request to a running cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Returns the instances and their states.
    Report {
        /// Runs the probes of all instances first. This takes some seconds if an instance doesn't
        /// respond. Without it the reply is sent at once, whatever the cluster does.
        #[serde(default)]
        check: bool,
    },
    /// Returns the whole committed state.
    State,
    /// Returns the nodes and pods of the Kubernetes API.
    Summary,
    /// Returns the images of every node.
    Images,
    /// Imports an image into the store of every node that lacks it.
    Import {
        /// `oci-archive:PATH`, `docker-archive:PATH` or `oci:PATH`.
        archive: String,
        /// The image's name in the archive.
        name: String,
        /// Its ID: `sha256:...`.
        id: String,
    },
    /// Removes an image from every node's store.
    RemoveImage {
        /// One of its names.
        name: String,
    },
    /// Returns the published ports.
    Ports,
    /// Publishes further ports, and saves them with the cluster: all of them or none.
    Publish {
        /// The new ports, as in [`OpenPort::spec`].
        ports: Vec<String>,
    },
    /// Removes published ports, and saves that. Their connections end.
    Unpublish {
        /// The ports, as in [`OpenPort::spec`].
        ports: Vec<String>,
    },
    /// Copies the directories of all instances that fill a role into
    /// [`Root::staging`](crate::root_dir::Root::staging). The copies are of one moment: the
    /// instances' processes are paused meanwhile.
    CopyState {
        /// The role.
        role: String,
    },
    /// Applies another state. Events follow until `Changed` or `ChangeFailed`. Until then, `Cancel`
    /// can be sent.
    Change(Box<ChangeRequest>),
    /// Undoes the change that was requested on the same connection, unless it is already committed.
    Cancel,
    /// Returns the outcome of a change, for a command that lost its connection.
    Outcome {
        /// The change's ID.
        id: String,
    },
    /// Renames the cluster.
    Rename {
        /// The new name.
        name: String,
    },
    /// Stops all instances in order. Events follow until the end.
    Stop,
    /// Kills all processes at once.
    Kill,
}

/// The version of the protocol on the control socket. Incremented if an older cluster or command
/// would misinterpret messages of a newer one. A new kind of request needs no new version: an older
/// cluster rejects its name.
pub const PROTOCOL: u32 = 2;

/// A request as it is sent, with the versions of its sender.
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

/// A request for another state of the cluster, with the whole state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeRequest {
    /// Chosen by the command, to request the outcome later.
    pub id: String,
    /// The revision of the state that this one is based on.
    pub base: u64,
    /// The settings, in the form of `kubernix.toml`.
    pub settings: String,
    /// The nodes and ports.
    pub allotment: Allotment,
    /// The input of a boot with this state.
    pub boot: serde_json::Value,
    /// A component whose instances are restarted even if their plans stay the same.
    #[serde(default)]
    pub component: Option<String>,
    /// Nodes to drain before they are removed.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// The outcome of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ChangeOutcome {
    /// It is queued or in progress.
    Pending,
    /// It is committed.
    Changed,
    /// It failed.
    Failed {
        /// Why.
        error: String,
        /// The state before the change was restored.
        restored: bool,
    },
    /// It was rejected before anything changed.
    Refused {
        /// Why.
        error: String,
    },
    /// It was rejected, because the state has changed since the revision that it is based on.
    Stale,
    /// There is no change of this ID.
    Unknown,
}

/// A copy of a component's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The component.
    pub component: String,
    /// Its version.
    pub version: String,
    /// How long its processes were paused, in microseconds.
    pub paused_us: u64,
}

/// A reply to a request.
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
        /// Nodes and pods.
        summary: Summary,
    },
    /// To `Images`.
    Images {
        /// By node.
        nodes: Vec<NodeImages>,
    },
    /// To `Import`: nodes that didn't have the image before.
    Imported {
        /// By name.
        nodes: Vec<String>,
    },
    /// To `RemoveImage`: nodes that had the image.
    Removed {
        /// By name.
        nodes: Vec<String>,
    },
    /// To `Ports`, `Publish` and `Unpublish`: the published ports.
    Ports {
        /// By address on the host.
        ports: Vec<OpenPort>,
    },
    /// To `CopyState`.
    Copied {
        /// The copied component.
        copied: Copied,
    },
    /// To `State`.
    State {
        /// The content of `cluster.json`.
        state: Box<ClusterFile>,
    },
    /// To `Outcome`.
    Outcome {
        /// The outcome.
        outcome: ChangeOutcome,
    },
    /// To `Stop`: every instance has ended.
    Ended,
    /// The cluster doesn't support this request: it was started by another version of KuberNix.
    Unsupported {
        /// The version of KuberNix that started it.
        kubernix: String,
        /// See [`PROTOCOL`].
        protocol: u32,
    },
    /// To `Rename`.
    Renamed {
        /// The new name.
        name: String,
    },
    /// The request was rejected or failed.
    Failed {
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::NodeSummary;

    #[test]
    fn replies_can_be_parsed() {
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
