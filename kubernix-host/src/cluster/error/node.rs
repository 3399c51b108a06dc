//! Errors about nodes: their number, their placement, single nodes.

use crate::placement::NodeBackend;
use crate::settings::Call;
use ipnet::Ipv4Net;

/// The nodes of a cluster can't be as requested.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The cluster has no node of this name.
    #[error("cluster `{cluster}` has no node `{node}`, it has {}", .nodes.join(", "))]
    NotFound {
        /// The cluster.
        cluster: String,
        /// The name that was given.
        node: String,
        /// The nodes of the cluster.
        nodes: Vec<String>,
    },
    /// The CIDR has no pod range for so many nodes.
    #[error("`{cidr}` holds {most} nodes, {wanted} are too many: a larger --cidr holds more")]
    TooMany {
        /// The cluster's CIDR.
        cidr: Ipv4Net,
        /// The number of nodes that it has room for.
        most: u32,
        /// The requested number.
        wanted: u32,
    },
    /// The settings have fewer nodes than the cluster. Only `node remove` removes nodes.
    #[error(
        "cluster `{}` has {has} nodes, {wanted} are fewer: `{} NODE` removes one",
        .call.name(), .call.to("node remove")
    )]
    Fewer {
        /// The cluster.
        call: Call,
        /// Its number of nodes.
        has: u32,
        /// The requested number.
        wanted: u32,
    },
    /// The number of control planes is fixed when a cluster is created.
    #[error(
        "cluster `{}` was made with {has} control planes and can't have {wanted}: \
         the members of its datastore are fixed;\n`{}` creates it again",
        .call.name(), .call.to("up --fresh")
    )]
    ControlPlanesFixed {
        /// The cluster.
        call: Call,
        /// Its number of control planes.
        has: u32,
        /// The requested number.
        wanted: u32,
    },
    /// The placement of nodes is fixed when a cluster is created.
    #[error(
        "the nodes of cluster `{}` are placed into {has}, and can't move into {wanted}; `{}` creates the cluster again",
        .call.name(), .call.to("up --fresh")
    )]
    PlacementFixed {
        /// The cluster.
        call: Call,
        /// Its placement.
        has: NodeBackend,
        /// The requested placement.
        wanted: NodeBackend,
    },
    /// Fewer nodes than control planes: each control plane runs on a node of its own.
    #[error("{members} control planes need a node each, {nodes} are too few: use --nodes {members} or more")]
    TooFew {
        /// The number of control planes.
        members: u32,
        /// The number of nodes.
        nodes: u32,
    },
    /// Stopping this node would lose etcd's quorum.
    #[error(
        "without node `{node}`, {left} of {all} members of the control plane would run, \
         but its datastore needs more than half:\n\
         start another first, or stop the cluster with `{}`",
        .call.to("stop")
    )]
    QuorumLoss {
        /// The cluster.
        call: Call,
        /// The node.
        node: String,
        /// How many members would still run.
        left: usize,
        /// The number of members.
        all: usize,
    },
    /// A node of the control plane can't be removed.
    #[error("node `{node}` belongs to the control plane and can't be removed: `node stop {node}` stops it")]
    ControlPlane {
        /// The node.
        node: String,
    },
    /// The node is stopped.
    #[error("node `{node}` is stopped: `node start {node}` starts it again")]
    Stopped {
        /// The node.
        node: String,
    },
}

impl NodeError {
    pub(super) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Stopped { .. }) { 5 } else { 2 }
    }
}
