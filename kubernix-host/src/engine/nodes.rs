//! Starts, connects and ends the nodes that have their own namespaces. The reducer decides when.

use super::Cluster;
use super::node_init::NodeInit;
use super::planned::Planned;
use super::reducer::Input;
use crate::graph::{Environment, NodeSpec};
use crate::network::{HostNet, node as network};
use crate::process::{Running, SpawnTarget, Spawner};
use crate::sandbox::node;
use nix::sys::signal::{Signal, kill};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the start of a node may take. It usually takes some milliseconds, and a tenth of a
/// second with podman.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a node can't be used or started.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// It doesn't run.
    #[error("node {0} doesn't run")]
    NotRunning(String),
    /// It isn't a node of the cluster.
    #[error("the cluster has no node {0}")]
    Unknown(String),
    /// It can't be started.
    #[error("node {node} can't be started")]
    Start { node: String, source: io::Error },
}

/// A running node.
struct Node {
    namespaces: Arc<node::Namespaces>,
    init: Running,
    container: Option<node::Container>,
    number: u32,
}

/// The namespaces of the running nodes, in which their processes are started, by node.
#[derive(Clone, Default)]
pub(super) struct SpawnTargets(Arc<std::sync::Mutex<BTreeMap<String, Arc<node::Namespaces>>>>);

impl SpawnTargets {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<node::Namespaces>>> {
        // A panic can't leave the map inconsistent: every modification is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network namespace of a node, see [`SpawnTargets::get`].
    pub(super) fn network(&self, node: &str) -> Option<HostNet> {
        self.all().get(node).map(|namespaces| namespaces.network().clone())
    }

    /// The spawn target of a node; `None` if the node doesn't run or has no namespaces of its own.
    pub(super) fn get(&self, node: &str) -> Option<Arc<dyn SpawnTarget>> {
        self.all().get(node).cloned().map(|namespaces| namespaces as Arc<dyn SpawnTarget>)
    }
}

/// The nodes that have their own namespaces.
pub(super) struct Nodes {
    sandbox: HostNet,
    targets: SpawnTargets,
    running: RefCell<BTreeMap<String, Node>>,
}

impl Nodes {
    /// No nodes yet. The sandbox's network namespace is that of the calling thread.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn of_thread() -> io::Result<Self> {
        Ok(Self { sandbox: HostNet::of_thread()?, targets: SpawnTargets::default(), running: RefCell::default() })
    }

    /// The spawn targets of the nodes. Includes nodes that are started later.
    pub(super) fn targets(&self) -> SpawnTargets {
        self.targets.clone()
    }

    /// The PIDs of the running nodes' inits, in the PID namespace of the cluster's init.
    pub(super) fn init_pids(&self) -> BTreeMap<String, i32> {
        let nodes = self.running.borrow();
        let running = nodes.iter().filter(|(_, node)| node.init.exit().is_none());
        running.map(|(name, node)| (name.clone(), node.init.pid.as_raw())).collect()
    }

    /// The network namespaces of all running nodes but one. A node that is being started isn't
    /// among them: it adds the routes to the other nodes itself.
    fn other_networks(&self, name: &str) -> Vec<HostNet> {
        let nodes = self.running.borrow();
        nodes.iter().filter(|(other, _)| *other != name).map(|(_, node)| node.namespaces.network().clone()).collect()
    }
}

impl Cluster {
    /// The spawner for processes of an instance, on its node.
    ///
    /// # Errors
    /// The node doesn't run.
    pub(super) fn spawner_of(&self, planned: &Planned) -> Result<Spawner, NodeError> {
        let mut spawner = self.spawner();
        if let Some(node) = planned.own_node() {
            let target = self.nodes.targets.get(&node.name);
            spawner.target = target.ok_or_else(|| NodeError::NotRunning(node.name.clone()))?;
        }
        Ok(spawner)
    }

    /// Starts a node, after removing the remains of an earlier run. After a failure, nothing of the
    /// node remains.
    ///
    /// # Errors
    /// The cluster has no such node, or it can't be started.
    pub(super) async fn create_node(&self, name: &str) -> Result<(), NodeError> {
        // Not the environment of an instance on the node: an instance that was kept in a change has
        // the environment of before, which lacks new nodes, and so the routes to them.
        let boot = self.boot();
        let spec = boot.environment.node(name).ok_or_else(|| NodeError::Unknown(name.to_owned()))?;
        self.end_node(name).await;
        match self.start_node(spec, &boot.environment).await {
            Ok(node) => {
                self.nodes.targets.all().insert(name.to_owned(), node.namespaces.clone());
                // Its connections are in the network namespace of the node's earlier run.
                *self.checker.borrow_mut() = None;
                self.watch_node(name, &node.init);
                self.nodes.running.borrow_mut().insert(name.to_owned(), node);
                Ok(())
            }
            Err(source) => {
                self.clean_up_node(name, spec.index).await;
                Err(NodeError::Start { node: name.to_owned(), source })
            }
        }
    }

    /// Sends an input to the reducer when a node's init exits.
    fn watch_node(&self, name: &str, init: &Running) {
        let (name, init, inputs) = (name.to_owned(), init.clone(), self.inputs.clone());
        tokio::task::spawn_local(async move {
            init.wait().await;
            let _ = inputs.send(Input::NodeEnded(name));
        });
    }

    async fn start_node(&self, spec: &NodeSpec, environment: &Environment) -> io::Result<Node> {
        let NodeInit { namespaces, process, container, starting } = self.start_init(spec, environment).await?;
        let node = Node { namespaces: Arc::new(namespaces), init: process, container, number: spec.index };
        let ready = async {
            tokio::try_join!(starting.ready(), self.connect(&node, spec, environment))?;
            Ok(())
        };
        let result = tokio::select! {
            biased;
            result = ready => result,
            _ = node.init.wait() => Err(io::Error::other("its init exited during the start")),
            () = tokio::time::sleep(START_TIMEOUT) => {
                Err(io::Error::other(format!("it isn't ready within {START_TIMEOUT:?}")))
            }
        };
        if let Err(error) = result {
            self.kill_node(&node).await;
            return Err(error);
        }
        Ok(node)
    }

    /// Connects a node to the network, and adds routes between its pods and those of other nodes.
    async fn connect(&self, node: &Node, spec: &NodeSpec, environment: &Environment) -> io::Result<()> {
        let addresses = environment.addresses.clone();
        let route = |number: u32| Some((addresses.node_ip(number), addresses.pod_cidr(number).ok()?));
        let others = environment.nodes.iter().filter(|other| other.index != spec.index);
        let routes: Vec<_> = others.filter_map(|other| route(other.index)).collect();
        let own: Vec<_> = route(spec.index).into_iter().collect();
        let networks = self.nodes.other_networks(&spec.name);
        let (sandbox, net, number) = (self.nodes.sandbox.clone(), node.namespaces.network().clone(), node.number);
        let connected = tokio::task::spawn_blocking(move || {
            network::detach(&sandbox, number)?;
            network::attach(&sandbox, &net, number, &addresses)?;
            network::add_routes(&net, &routes)?;
            networks.iter().chain([&sandbox]).try_for_each(|other| network::add_routes(other, &own))
        });
        connected.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// Ends a node with all its processes. Does nothing if the node doesn't run or has no
    /// namespaces of its own.
    pub(super) async fn end_node(&self, name: &str) {
        let Some(node) = self.nodes.running.borrow_mut().remove(name) else { return };
        self.nodes.targets.all().remove(name);
        self.kill_node(&node).await;
        self.clean_up_node(name, node.number).await;
    }

    /// Removes the cgroups and the network link of a node that has ended. The kernel removes the
    /// link only a moment later.
    async fn clean_up_node(&self, name: &str, number: u32) {
        let cluster = self.boot().environment.id.clone();
        let (sandbox, node) = (self.nodes.sandbox.clone(), name.to_owned());
        let cleaned = tokio::task::spawn_blocking(move || {
            node::remove_cgroups(cluster.as_str(), &node);
            network::detach(&sandbox, number)
        });
        match cleaned.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("{error}"),
            Err(error) => log::error!("node {name}: {error}"),
        }
    }

    /// Kills a node's init. The kernel then kills the other processes in its PID namespace.
    async fn kill_node(&self, node: &Node) {
        if node.init.exit().is_none() {
            let _ = kill(node.init.pid, Signal::SIGKILL);
        }
        node.init.wait().await;
        if let Some(container) = &node.container {
            self.remove_container(container).await;
        }
    }
}
