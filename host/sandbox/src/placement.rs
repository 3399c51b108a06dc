//! Where the processes of nodes run: what may be chosen for a cluster, and what that comes to for
//! each of its nodes.
//!
//! This is the one place that decides. Whoever has to do with the kind of place itself matches on
//! [`Placement`]; all else asks for the node's [`SpawnTarget`](crate::process::SpawnTarget) and knows no
//! difference.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The toolchain's name of podman.
pub const PODMAN: &str = "podman";

/// What nodes are placed into. Chosen once for a cluster, by `--placement`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeBackend {
    /// Namespaces that are made here.
    #[default]
    Namespaces,
    /// Containers of podman, each with the host's own root file system as an overlay.
    Podman,
}

impl NodeBackend {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Namespaces, Self::Podman];

    /// The tools that it takes, by their names in the toolchain's table.
    pub fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Namespaces => &[],
            Self::Podman => &[PODMAN],
        }
    }
}

impl FromStr for NodeBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is neither namespaces nor podman"))
    }
}

impl fmt::Display for NodeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Namespaces => "namespaces",
            Self::Podman => "podman",
        })
    }
}

/// Where the processes of a node run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// In the sandbox itself, beside the control plane.
    #[default]
    Sandbox,
    /// In namespaces of the node's own below the sandbox's.
    Namespaces,
    /// In a container of podman's below the sandbox.
    Podman,
}

impl Placement {
    /// A lone control plane and the first node share the sandbox, where nodes are in namespaces. Of
    /// several members none does: each can be lost for itself. A container has all that belongs to
    /// its node.
    pub fn of(nodes: NodeBackend, index: u32, control_planes: u32) -> Self {
        match nodes {
            NodeBackend::Podman => Self::Podman,
            NodeBackend::Namespaces if index == 0 && control_planes == 1 => Self::Sandbox,
            NodeBackend::Namespaces => Self::Namespaces,
        }
    }

    /// Whether the node's processes are in the sandbox itself.
    pub fn is_in_sandbox(self) -> bool {
        self == Self::Sandbox
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        for kind in NodeBackend::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("docker".parse::<NodeBackend>().unwrap_err(), "`docker` is neither namespaces nor podman");
    }

    #[test]
    fn only_the_first_node_of_a_lone_control_plane_is_beside_it() {
        let beside = |nodes, index, members| Placement::of(nodes, index, members).is_in_sandbox();
        assert!(beside(NodeBackend::Namespaces, 0, 1));
        assert!(!beside(NodeBackend::Namespaces, 1, 1) && !beside(NodeBackend::Namespaces, 0, 3));
        assert!(!beside(NodeBackend::Podman, 0, 1));
    }
}
