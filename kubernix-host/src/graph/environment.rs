//! The values that contexts are made from: the cluster's addresses, directories, identities and
//! binaries.

use crate::network::plan::AddressPlan;
use crate::pki::Identity;
use crate::placement::Placement;
use crate::root_dir::ClusterId;
use kubernix_core::facts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The Kubernetes node's name.
    pub name: String,
    /// Its number, from 0.
    pub index: u32,
    /// Where its processes run.
    #[serde(default)]
    pub placement: Placement,
    /// The node belongs to the cluster, but is switched off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// The zone that its label names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// The values that contexts are made from. Saved for the cluster's init, which plans again from the
/// same values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// The cluster's name: a label, which may change while the cluster runs.
    pub cluster: String,
    /// The cluster's ID.
    #[serde(default)]
    pub id: ClusterId,
    /// The cluster's root directory by its path in the sandbox. The other paths in it have the same
    /// form.
    pub root: PathBuf,
    /// Addresses and ranges.
    pub addresses: AddressPlan,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// The names of the nodes that are members of the control plane. Empty for a single control
    /// plane, which belongs to no node.
    #[serde(default)]
    pub members: Vec<String>,
    /// Binaries by tool.
    pub binaries: BTreeMap<String, PathBuf>,
    /// The known versions of binaries, by tool.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Identities: `admin`, and `kubelet@node-0` for those of a node.
    pub identities: BTreeMap<String, Identity>,
    /// Kubeconfigs, named like identities.
    pub kubeconfigs: BTreeMap<String, PathBuf>,
    /// The cache of built images, which all clusters share.
    pub image_cache: PathBuf,
    /// Files that the host wrote, by name.
    pub files: BTreeMap<String, PathBuf>,
    /// Facts about the host.
    pub facts: BTreeMap<String, String>,
    /// Parameters from the settings: component, name, value.
    pub parameters: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables for users' shells, from the plans.
    pub variables: BTreeMap<String, String>,
    /// The local registry's port on the host's 127.0.0.1, if that slot is filled.
    #[serde(default)]
    pub registry_port: u16,
}

/// The tmpfs inside the sandbox that contains the volatile directories of instances.
pub const VOLATILE: &str = "/run/kubernix";

impl Environment {
    /// The directory of an instance that persists over a stop.
    pub fn state_dir(&self, component: &str, node: Option<&str>) -> PathBuf {
        match node {
            Some(node) => self.node_dir(node).join(component),
            None => self.root.join("control").join(component),
        }
    }

    /// The directory of all instances of a component.
    pub fn shared_dir(&self, component: &str) -> PathBuf {
        self.root.join("shared").join(component)
    }

    /// The directory of a node.
    pub fn node_dir(&self, node: &str) -> PathBuf {
        self.root.join("nodes").join(node)
    }

    /// The directory of an instance that is empty at each boot.
    pub fn volatile_dir(&self, component: &str, node: Option<&str>) -> PathBuf {
        Path::new(VOLATILE).join(node.unwrap_or("control")).join(component)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The address of the control plane for a node: the node's own if it is a member, otherwise the
    /// shared one.
    pub fn control_plane_ip(&self, node: Option<&str>) -> Ipv4Addr {
        let member = node.filter(|node| self.members.iter().any(|member| member == node));
        let member = member.and_then(|node| self.node(node));
        member.map_or_else(|| self.addresses.control_plane_ip(), |node| self.addresses.node_ip(node.index))
    }

    /// The members, one per line, each with its address.
    pub fn members_with_addresses(&self) -> String {
        let member = |name: &String| format!("{name} {}", self.control_plane_ip(Some(name)));
        self.members.iter().map(member).collect::<Vec<_>>().join("\n")
    }

    /// The URL for a node of a role that each member of the control plane fills. `url` is that of
    /// `member`: the member itself uses it, every other node uses the shared address.
    pub fn seen_from(&self, node: Option<&str>, member: Option<&str>, url: &str) -> String {
        let Some(member) =
            member.filter(|member| node != Some(*member) && self.members.iter().any(|one| one == member))
        else {
            return url.to_owned();
        };
        url.replace(
            &format!("//{}:", self.control_plane_ip(Some(member))),
            &format!("//{}:", self.addresses.control_plane_ip()),
        )
    }

    /// Whether there is a node of this name that is switched off.
    pub fn is_off(&self, node: &str) -> bool {
        self.node(node).is_some_and(|node| node.stopped)
    }

    /// A fact about the host for an instance on this node.
    pub fn fact(&self, name: &str, node: Option<&str>) -> Option<String> {
        let node = node.and_then(|node| self.node(node));
        match (name, node) {
            (facts::TOPOLOGY_ZONE, node) => node.and_then(|node| node.zone.clone()),
            (facts::CGROUP_ROOT, Some(node)) if !node.placement.is_in_sandbox() => {
                self.facts.get(name).map(|root| format!("{root}/{}", node.name))
            }
            _ => self.facts.get(name).cloned(),
        }
    }

    /// The target of a published port: the first node that isn't stopped, because every node serves
    /// a Service of the type `NodePort`. `None` if all nodes are stopped.
    pub fn published_at(&self, port: u16) -> Option<SocketAddr> {
        let node = self.nodes.iter().find(|node| !node.stopped)?;
        Some((self.addresses.node_ip(node.index), port).into())
    }

    /// An entry of a map with entries per node: `kubelet@node-0`, or else `kubelet`.
    pub fn of_node<'m, T>(map: &'m BTreeMap<String, T>, name: &str, node: Option<&str>) -> Option<&'m T> {
        node.and_then(|node| map.get(&format!("{name}@{node}"))).or_else(|| map.get(name))
    }
}
