//! `allotted.json`: the nodes and ports of a cluster. Each boot of the cluster reuses them.
//! Addresses follow from the index of a node.

use super::{ClusterFile, Error, Root, json, write_atomic};
use crate::placement::{NodeBackend, Placement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

/// A node of a cluster. Its addresses follow from its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllottedNode {
    /// Its name: `node-INDEX`.
    pub name: String,
    /// Its index, 0 for the first node.
    pub index: u32,
    /// The node is stopped: boots don't start it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

/// The nodes and ports of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allotment {
    /// Its nodes, by index.
    pub nodes: Vec<AllottedNode>,
    /// The number of control plane members, which are the first nodes. With 1, the only member runs
    /// in the sandbox's namespaces if the first node does.
    #[serde(default = "one")]
    pub control_planes: u32,
    /// The placement of its nodes.
    #[serde(default)]
    pub placement: NodeBackend,
    /// The API server's port on the host's 127.0.0.1. `None` before the first boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_port: Option<u16>,
    /// The local registry's port on the host's 127.0.0.1. `None` before the first boot with a
    /// registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_port: Option<u16>,
}

/// The prefix of node names. The index follows.
const NODE: &str = "node-";

/// The index of a node with this name. `None` if no node can have it.
pub fn index_of(name: &str) -> Option<u32> {
    let index = name.strip_prefix(NODE)?.parse().ok()?;
    (name == format!("{NODE}{index}")).then_some(index)
}

fn one() -> u32 {
    1
}

impl Default for Allotment {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            control_planes: 1,
            placement: NodeBackend::default(),
            api_port: None,
            registry_port: None,
        }
    }
}

impl Allotment {
    fn path(root: &Root) -> std::path::PathBuf {
        root.path().join("allotted.json")
    }

    /// Reads the allotment of a cluster; the default if the cluster doesn't exist yet. If the state
    /// in force is damaged, reads `allotted.json`.
    ///
    /// # Errors
    /// Neither can be read, or a newer version wrote the state.
    pub fn read(root: &Root) -> Result<Self, Error> {
        match ClusterFile::read(root) {
            Ok(Some(state)) => return Ok(state.allotment),
            Ok(None) => {}
            Err(damaged @ Error::Damaged { .. }) if !Self::path(root).exists() => return Err(damaged),
            Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        Self::read_view(root)
    }

    fn read_view(root: &Root) -> Result<Self, Error> {
        let path = Self::path(root);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(Error::io("read", &path, cause)),
        };
        serde_json::from_str(&text).map_err(|error| Error::Damaged {
            path,
            reason: format!("{error}; it lists the cluster's nodes, `up --fresh` creates new ones"),
        })
    }

    /// Writes `allotted.json`. Returns `true` if it changed.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, root: &Root) -> Result<bool, Error> {
        let path = Self::path(root);
        write_atomic(&path, json::text(&path, self)?.as_bytes(), 0o600)
    }

    /// Adds nodes, each with the lowest free index. Returns their names.
    pub fn add_nodes(&mut self, count: u32) -> Vec<String> {
        let taken: BTreeSet<u32> = self.nodes.iter().map(|node| node.index).collect();
        let free = (0..=u32::MAX).filter(|index| !taken.contains(index)).take(count as usize);
        let new: Vec<AllottedNode> =
            free.map(|index| AllottedNode { name: format!("{NODE}{index}"), index, stopped: false }).collect();
        let names = new.iter().map(|node| node.name.clone()).collect();
        self.nodes.extend(new);
        self.nodes.sort_by_key(|node| node.index);
        names
    }

    /// Removes a node and frees its index. Returns `false` if the node doesn't exist.
    pub fn remove_node(&mut self, name: &str) -> bool {
        let before = self.nodes.len();
        self.nodes.retain(|node| node.name != name);
        self.nodes.len() < before
    }

    /// The node of this name.
    pub fn node_mut(&mut self, name: &str) -> Option<&mut AllottedNode> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    /// The names of the nodes that are members of the control plane. Empty if its only member runs
    /// in the sandbox's namespaces.
    pub fn members(&self) -> Vec<String> {
        let own = |node: &&AllottedNode| node.index < self.control_planes && !self.placement_of(node).is_in_sandbox();
        self.nodes.iter().filter(own).map(|node| node.name.clone()).collect()
    }

    /// The placement of a node.
    pub fn placement_of(&self, node: &AllottedNode) -> Placement {
        Placement::of(self.placement, node.index, self.control_planes)
    }

    /// The number of nodes.
    pub fn count(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_nodes_get_the_lowest_free_index() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        fs::create_dir_all(root.path()).unwrap();
        let mut allotment = Allotment::read(&root).unwrap();
        assert_eq!(allotment.add_nodes(3), ["node-0", "node-1", "node-2"]);
        assert!(allotment.remove_node("node-1") && !allotment.remove_node("node-1"));
        assert!(allotment.write(&root).unwrap() && !allotment.write(&root).unwrap());
        let mut again = Allotment::read(&root).unwrap();
        assert_eq!(again, allotment);
        assert_eq!(again.add_nodes(2), ["node-1", "node-3"]);
        assert_eq!(again.nodes.iter().map(|node| node.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
