//! The placement of nodes: the choice for a cluster, and the resulting placement of each node.
//!
//! Only this module decides. Code that depends on the kind of placement matches on [`Placement`].
//! All other code uses the node's [`SpawnTarget`](crate::process::SpawnTarget).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of podman in the toolchain's table.
pub const PODMAN: &str = "podman";

/// How nodes are isolated. Chosen once for a cluster, by `--placement`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeBackend {
    /// Namespaces that the cluster's init creates.
    #[default]
    Namespaces,
    /// podman containers, each with an overlay over the host's root file system.
    Podman,
}

impl NodeBackend {
    /// All backends.
    pub const ALL: [Self; 2] = [Self::Namespaces, Self::Podman];

    /// The tools that the backend needs, by their names in the toolchain's table.
    pub fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Namespaces => &[],
            Self::Podman => &[PODMAN],
        }
    }
}

/// The text isn't a [`NodeBackend`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither namespaces nor podman")]
pub struct UnknownNodeBackend(String);

impl FromStr for NodeBackend {
    type Err = UnknownNodeBackend;

    fn from_str(text: &str) -> Result<Self, UnknownNodeBackend> {
        let found = Self::ALL.into_iter().find(|backend| backend.to_string() == text);
        found.ok_or_else(|| UnknownNodeBackend(text.to_owned()))
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
    /// In the sandbox, together with the control plane.
    #[default]
    Sandbox,
    /// In the node's own namespaces below the sandbox.
    Namespaces,
    /// In a podman container below the sandbox.
    Podman,
}

impl Placement {
    /// The placement of the node with this index. With namespaces, the first node shares the
    /// sandbox with a single control plane. It doesn't share it with one of several members,
    /// because each member can be stopped by itself. A container holds everything that belongs to
    /// its node.
    pub fn of(backend: NodeBackend, index: u32, control_planes: u32) -> Self {
        match backend {
            NodeBackend::Podman => Self::Podman,
            NodeBackend::Namespaces if index == 0 && control_planes == 1 => Self::Sandbox,
            NodeBackend::Namespaces => Self::Namespaces,
        }
    }

    /// Whether the node's processes run in the sandbox itself.
    pub fn is_in_sandbox(self) -> bool {
        self == Self::Sandbox
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_parsed_from_its_display_text() {
        for backend in NodeBackend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        let error = "docker".parse::<NodeBackend>().unwrap_err().to_string();
        assert_eq!(error, "`docker` is neither namespaces nor podman");
    }

    #[test]
    fn only_the_first_node_of_a_single_control_plane_is_in_the_sandbox() {
        let in_sandbox = |backend, index, members| Placement::of(backend, index, members).is_in_sandbox();
        assert!(in_sandbox(NodeBackend::Namespaces, 0, 1));
        assert!(!in_sandbox(NodeBackend::Namespaces, 1, 1) && !in_sandbox(NodeBackend::Namespaces, 0, 3));
        assert!(!in_sandbox(NodeBackend::Podman, 0, 1));
    }
}
