//! The nodes of a running cluster: added, removed, stopped, started and listed.

use super::change::Order;
use super::{Cluster, Host, HostError};
use crate::control::InstanceState;
use crate::events::Sink;
use crate::root::Allotment;
use crate::settings::Resolved;
use serde::{Deserialize, Serialize};

/// One node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// Its name.
    pub name: String,
    /// `ready`, or what its first instance that isn't ready is; `stopped` where it isn't to run.
    pub state: InstanceState,
    /// Its address on the cluster's network.
    pub ip: String,
    /// The range of its pods.
    pub pod_cidr: String,
    /// The zone that it is in.
    pub zone: Option<String>,
    /// What fills the role `cri` on it.
    pub cri: String,
}

impl Host {
    /// Adds nodes to a running cluster and waits until they are Ready. Returns their names.
    ///
    /// # Errors
    /// The cluster's range holds no more, or one doesn't become Ready: then there is none of them.
    pub fn add_nodes(&self, resolved: &mut Resolved, count: u32, sink: &dyn Sink) -> Result<Vec<String>, HostError> {
        let old = self.nodes_of(resolved)?;
        resolved.settings.nodes = Some(old.count().saturating_add(count));
        let allotment = self.allot(&resolved.settings)?;
        self.change_to(resolved, &allotment, Order::default(), sink)?;
        let is_new = |name: &String| !old.nodes.iter().any(|node| node.name == *name);
        Ok(allotment.nodes.into_iter().map(|node| node.name).filter(is_new).collect())
    }

    /// Moves a node's pods elsewhere, ends it, and forgets it with all that it had.
    ///
    /// # Errors
    /// There is no such node, it belongs to the control plane, or its pods don't go: then it stays as it was.
    pub fn remove_node(&self, resolved: &mut Resolved, name: &str, sink: &dyn Sink) -> Result<(), HostError> {
        let mut allotment = self.with_node(resolved, name)?;
        if allotment.nodes.iter().any(|node| node.name == name && node.index < allotment.control_planes) {
            return Err(HostError::FirstNode { node: name.to_owned() });
        }
        allotment.remove_node(name);
        resolved.settings.nodes = Some(allotment.count());
        let order = Order { removed: vec![name.to_owned()], ..Order::default() };
        self.change_to(resolved, &allotment, order, sink).map(drop)
    }

    /// Ends what runs on a node, or starts it again. A stopped node stays so over `stop` and `up`.
    ///
    /// # Errors
    /// There is no such node, or too little of the control plane would be left; or it doesn't become Ready again, and is stopped as before.
    pub fn switch_node(&self, resolved: &Resolved, name: &str, on: bool, sink: &dyn Sink) -> Result<(), HostError> {
        let mut allotment = self.with_node(resolved, name)?;
        if let Some(node) = allotment.node_mut(name) {
            node.stopped = !on;
        }
        let members = allotment.members();
        let runs = |member: &&String| allotment.nodes.iter().any(|node| node.name == **member && !node.stopped);
        let (left, all) = (members.iter().filter(runs).count(), members.len());
        if !on && members.iter().any(|member| member == name) && left * 2 <= all {
            return Err(HostError::NoMajority {
                call: self.call(&resolved.settings),
                node: name.to_owned(),
                left,
                all,
            });
        }
        self.change_to(resolved, &allotment, Order::default(), sink).map(drop)
    }

    fn nodes_of(&self, resolved: &Resolved) -> Result<Allotment, HostError> {
        let cluster = Cluster::find(self.call(&resolved.settings))?;
        if !cluster.is_running() {
            return Err(HostError::Stopped(self.call(&resolved.settings)));
        }
        Ok(Allotment::read(cluster.root())?)
    }

    /// All nodes of a cluster that has this one.
    fn with_node(&self, resolved: &Resolved, name: &str) -> Result<Allotment, HostError> {
        let allotment = self.nodes_of(resolved)?;
        if allotment.nodes.iter().any(|node| node.name == name) {
            return Ok(allotment);
        }
        let nodes = allotment.nodes.into_iter().map(|node| node.name).collect();
        Err(HostError::NoSuchNode { cluster: resolved.settings.name.clone(), node: name.to_owned(), nodes })
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

    /// The host's number of the first process of a node with namespaces of its own; `None` for one in the sandbox.
    ///
    /// # Errors
    /// There is no such node, or it doesn't run.
    pub(super) fn first_process(&self, node: &str) -> Result<Option<i32>, HostError> {
        let boot = self.boot_in_force()?;
        let Some(spec) = boot.environment.node(node) else {
            let nodes = boot.environment.nodes.iter().map(|node| node.name.clone()).collect();
            return Err(HostError::NoSuchNode { cluster: self.name().to_owned(), node: node.to_owned(), nodes });
        };
        if spec.placement.is_beside() {
            return Ok(None);
        }
        let report = self.report()?;
        let outer = super::pids::by_inner(self.sandbox()?);
        let first = report.nodes.get(node).and_then(|inner| outer.get(inner)).copied();
        first.map(Some).ok_or_else(|| HostError::NodeStopped { node: node.to_owned() })
    }
}
