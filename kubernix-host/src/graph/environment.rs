//! What every context is cut from: the cluster's addresses, directories, identities and binaries.

use crate::network::plan::AddressPlan;
use crate::pki::Identity;
use crate::placement::Placement;
use crate::root::ClusterId;
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
    /// 0 for the first.
    pub index: u32,
    /// Where its processes run.
    #[serde(default)]
    pub placement: Placement,
    /// It is a node of the cluster, but isn't to run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// The zone that it says it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// What every context is cut from. Saved for the cluster's init, which plans again from the same
/// values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// The cluster's name: a label, which may change while the cluster runs.
    pub cluster: String,
    /// The cluster's ID.
    #[serde(default)]
    pub id: ClusterId,
    /// The cluster's root directory as its sandbox sees it, as are all paths here that lie in it.
    pub root: PathBuf,
    /// Addresses and ranges.
    pub addresses: AddressPlan,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// The nodes that are members of the control plane, by name. Empty where it is one alone, which
    /// belongs to no node.
    #[serde(default)]
    pub members: Vec<String>,
    /// Binaries by toolchain name.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Versions of binaries by toolchain name, as far as they are known.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Identities: `admin`, and `kubelet@node-0` for those of a node.
    pub identities: BTreeMap<String, Identity>,
    /// Kubeconfigs, named like identities.
    pub kubeconfigs: BTreeMap<String, PathBuf>,
    /// Where images that are built here are kept, for all clusters.
    pub image_cache: PathBuf,
    /// Files that the host made, by name.
    pub files: BTreeMap<String, PathBuf>,
    /// What the host knows of itself.
    pub facts: BTreeMap<String, String>,
    /// Parameters given in the config: component, name, text.
    pub parameters: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables of users' shells, once all is planned.
    pub variables: BTreeMap<String, String>,
    /// The local registry's port on the host's 127.0.0.1, if that slot is filled.
    #[serde(default)]
    pub registry_port: u16,
}

/// The tmpfs inside the sandbox below which instances get their volatile directories.
pub const VOLATILE: &str = "/run/kubernix";

impl Environment {
    /// The directory of an instance that outlives a stop.
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

    /// The address at which the control plane is found from a node: a member's own, or the one that
    /// stands for all.
    pub fn control_plane_ip(&self, node: Option<&str>) -> Ipv4Addr {
        let member = node.filter(|node| self.members.iter().any(|member| member == node));
        let member = member.and_then(|node| self.node(node));
        member.map_or_else(|| self.addresses.control_plane_ip(), |node| self.addresses.node_ip(node.index))
    }

    /// The members, one a line, each with its address.
    pub fn members_with_addresses(&self) -> String {
        let member = |name: &String| format!("{name} {}", self.control_plane_ip(Some(name)));
        self.members.iter().map(member).collect::<Vec<_>>().join("\n")
    }

    /// The URL at which a role of the control plane is found that each member fills, by one
    /// member's: from that member it is that one, from elsewhere the one that stands for all.
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

    /// Whether a node of this name isn't to run.
    pub fn is_off(&self, node: &str) -> bool {
        self.node(node).is_some_and(|node| node.stopped)
    }

    /// What the host knows of itself, as an instance on this node sees it.
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

    /// Where a port leads that the host publishes. Every node answers for a Service of the type
    /// `NodePort`, so the first one that isn't stopped does for all; `None` where there is none.
    pub fn published_at(&self, port: u16) -> Option<SocketAddr> {
        let node = self.nodes.iter().find(|node| !node.stopped)?;
        Some((self.addresses.node_ip(node.index), port).into())
    }

    /// An entry of a map whose names may be a node's own: `kubelet@node-0` before `kubelet`.
    pub fn of_node<'m, T>(map: &'m BTreeMap<String, T>, name: &str, node: Option<&str>) -> Option<&'m T> {
        node.and_then(|node| map.get(&format!("{name}@{node}"))).or_else(|| map.get(name))
    }
}
