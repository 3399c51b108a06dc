//! The nodes of a running cluster: adds, removes, stops, starts and lists them.

use super::change::ChangeOptions;
use super::{Cluster, ClusterError, Host, HostError, NodeError};
use crate::control::InstanceState;
use crate::events::Sink;
use crate::root_dir::Allotment;
use crate::settings::Resolved;
use serde::{Deserialize, Serialize};

/// One node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// Its name.
    pub name: String,
    /// `ready`, or the state of its first instance that isn't ready; `stopped` for a stopped node.
    pub state: InstanceState,
    /// Its address on the cluster's network.
    pub ip: String,
    /// Its pod CIDR.
    pub pod_cidr: String,
    /// Its zone.
    pub zone: Option<String>,
    /// The component that fills the role `cri` on it.
    pub cri: String,
}

impl Host {
    /// Adds nodes to a running cluster and waits until they are Ready. Returns their names.
    ///
    /// # Errors
    /// The cluster's CIDR has no room, or a node doesn't become Ready. No node is added then.
    pub fn add_nodes(&self, resolved: &mut Resolved, count: u32, sink: &dyn Sink) -> Result<Vec<String>, HostError> {
        let old = self.nodes_of(resolved)?;
        resolved.settings.nodes = Some(old.count().saturating_add(count));
        let allotment = self.allot(&resolved.settings)?;
        self.change_nodes(resolved, &allotment, ChangeOptions::default(), sink)?;
        let is_new = |name: &String| !old.nodes.iter().any(|node| node.name == *name);
        Ok(allotment.nodes.into_iter().map(|node| node.name).filter(is_new).collect())
    }

    /// Drains a node, ends it, and removes its data.
    ///
    /// # Errors
    /// The node doesn't exist, it belongs to the control plane, or its pods don't end. Nothing is
    /// changed then.
    pub fn remove_node(&self, resolved: &mut Resolved, name: &str, sink: &dyn Sink) -> Result<(), HostError> {
        let mut allotment = self.nodes_with(resolved, name)?;
        if allotment.nodes.iter().any(|node| node.name == name && node.index < allotment.control_planes) {
            return Err(NodeError::ControlPlane { node: name.to_owned() }.into());
        }
        allotment.remove_node(name);
        resolved.settings.nodes = Some(allotment.count());
        let options = ChangeOptions { removed: vec![name.to_owned()], ..ChangeOptions::default() };
        self.change_nodes(resolved, &allotment, options, sink).map(drop)
    }

    /// Starts a node (`run`), or stops it. A stopped node stays stopped after `stop` and `up` of
    /// the cluster.
    ///
    /// # Errors
    /// The node doesn't exist, or stopping it would lose etcd's quorum. A node that doesn't become
    /// Ready again is stopped as before.
    pub fn set_node_running(
        &self,
        resolved: &Resolved,
        name: &str,
        run: bool,
        sink: &dyn Sink,
    ) -> Result<(), HostError> {
        let mut allotment = self.nodes_with(resolved, name)?;
        if let Some(node) = allotment.node_mut(name) {
            node.stopped = !run;
        }
        let members = allotment.members();
        let runs = |member: &&String| allotment.nodes.iter().any(|node| node.name == **member && !node.stopped);
        let (left, all) = (members.iter().filter(runs).count(), members.len());
        if !run && members.iter().any(|member| member == name) && left * 2 <= all {
            let (call, node) = (self.call(&resolved.settings), name.to_owned());
            return Err(NodeError::QuorumLoss { call, node, left, all }.into());
        }
        self.change_nodes(resolved, &allotment, ChangeOptions::default(), sink).map(drop)
    }

    fn nodes_of(&self, resolved: &Resolved) -> Result<Allotment, HostError> {
        let cluster = Cluster::find(self.call(&resolved.settings))?;
        if !cluster.is_running() {
            return Err(ClusterError::Stopped(self.call(&resolved.settings)).into());
        }
        Ok(Allotment::read(cluster.root())?)
    }

    /// All nodes of a cluster.
    ///
    /// # Errors
    /// It has no node `name`.
    fn nodes_with(&self, resolved: &Resolved, name: &str) -> Result<Allotment, HostError> {
        let allotment = self.nodes_of(resolved)?;
        if allotment.nodes.iter().any(|node| node.name == name) {
            return Ok(allotment);
        }
        let nodes = allotment.nodes.into_iter().map(|node| node.name).collect();
        Err(NodeError::NotFound { cluster: resolved.settings.name.clone(), node: name.to_owned(), nodes }.into())
    }
}

impl Cluster {
    /// The nodes, by index.
    ///
    /// # Errors
    /// The cluster was never booted, or doesn't answer.
    pub fn nodes(&self) -> Result<Vec<NodeEntry>, HostError> {
        let boot = self.boot_in_force()?;
        let instances = if self.is_running() { self.report()?.instances } else { Vec::new() };
        let addresses = &boot.environment.addresses;
        let entry = |node: &crate::graph::NodeSpec| {
            let own = || instances.iter().filter(|one| one.node.as_deref() == Some(&node.name));
            let unready = own().map(|one| one.state).find(|state| *state != InstanceState::Ready);
            let cri = crate::graph::on_node(&boot.slots, &node.name, kubernix_core::roles::CRI);
            NodeEntry {
                name: node.name.clone(),
                state: match own().next() {
                    None => InstanceState::Stopped,
                    Some(_) => unready.unwrap_or(InstanceState::Ready),
                },
                ip: addresses.node_ip(node.index).to_string(),
                pod_cidr: addresses.pod_cidr(node.index).map(|cidr| cidr.to_string()).unwrap_or_default(),
                zone: node.zone.clone(),
                cri,
            }
        };
        Ok(boot.environment.nodes.iter().map(entry).collect())
    }

    /// The process ID on the host of the first process of a node. `None` for a node in the
    /// sandbox's own namespaces.
    ///
    /// # Errors
    /// The node doesn't exist, or it doesn't run.
    pub(super) fn first_process(&self, node: &str) -> Result<Option<i32>, HostError> {
        let boot = self.boot_in_force()?;
        let Some(spec) = boot.environment.node(node) else {
            let nodes = boot.environment.nodes.iter().map(|node| node.name.clone()).collect();
            return Err(NodeError::NotFound { cluster: self.name().to_owned(), node: node.to_owned(), nodes }.into());
        };
        if spec.placement.is_in_sandbox() {
            return Ok(None);
        }
        let report = self.report()?;
        let outer = super::pids::by_inner(self.sandbox()?);
        let first = report.nodes.get(node).and_then(|inner| outer.get(inner)).copied();
        first.map(Some).ok_or_else(|| NodeError::Stopped { node: node.to_owned() }.into())
    }
}
