//! The nodes with namespaces of their own: made, connected, and ended with all that is on them. The
//! rules say when.

use super::Cluster;
use super::first::First;
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

/// How long a node may take to be made: it takes some milliseconds, with podman a tenth of a
/// second.
const LIMIT: Duration = Duration::from_secs(60);

/// One node that runs.
struct Node {
    namespaces: Arc<node::Namespaces>,
    first: Running,
    container: Option<node::Container>,
    number: u32,
}

/// Where processes of the nodes that run are started, by node.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<std::sync::Mutex<BTreeMap<String, Arc<node::Namespaces>>>>);

impl Places {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<node::Namespaces>>> {
        // A panic elsewhere leaves the map whole: every change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network namespace of one node, as [`Places::get`].
    pub(super) fn network(&self, node: &str) -> Option<HostNet> {
        self.all().get(node).map(|place| place.network().clone())
    }

    /// That of one node; `None` for one that doesn't run or has no namespaces of its own.
    pub(super) fn get(&self, node: &str) -> Option<Arc<dyn SpawnTarget>> {
        self.all().get(node).cloned().map(|place| place as Arc<dyn SpawnTarget>)
    }
}

/// The nodes with namespaces of their own.
pub(super) struct Nodes {
    sandbox: HostNet,
    places: Places,
    all: RefCell<BTreeMap<String, Node>>,
}

impl Nodes {
    /// None yet, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn of_thread() -> io::Result<Self> {
        Ok(Self { sandbox: HostNet::of_thread()?, places: Places::default(), all: RefCell::default() })
    }

    /// Where processes of the nodes are started, now and later.
    pub(super) fn places(&self) -> Places {
        self.places.clone()
    }

    /// The nodes that run, as the init numbers their first processes.
    pub(super) fn first_processes(&self) -> BTreeMap<String, i32> {
        let all = self.all.borrow();
        let running = all.iter().filter(|(_, node)| node.first.exit().is_none());
        running.map(|(name, node)| (name.clone(), node.first.pid.as_raw())).collect()
    }

    /// The network namespaces of all nodes but one.
    fn networks_but(&self, name: &str) -> Vec<HostNet> {
        let all = self.all.borrow();
        // One that is being made learns of this node by itself.
        all.iter().filter(|(other, _)| *other != name).map(|(_, node)| node.namespaces.network().clone()).collect()
    }
}

impl Cluster {
    /// What starts processes where an instance is.
    ///
    /// # Errors
    /// Its node doesn't run.
    pub(super) fn spawner_of(&self, planned: &Planned) -> Result<Spawner, String> {
        let mut spawner = self.spawner();
        if let Some(node) = planned.own_node() {
            let place = self.nodes.places.get(&node.name);
            spawner.target = place.ok_or_else(|| format!("node {} doesn't run", node.name))?;
        }
        Ok(spawner)
    }

    /// Makes a node, after clearing what an earlier life of it left. Whatever fails, nothing of it
    /// is left.
    ///
    /// # Errors
    /// What failed, as text.
    pub(super) async fn make(&self, name: &str) -> Result<(), String> {
        // Not the environment of an instance on it: one that stayed through a change keeps that
        // from before the change, which lacks new nodes, and so the routes to them.
        let boot = self.boot();
        let spec = boot.environment.node(name).ok_or_else(|| format!("node {name} isn't of the cluster"))?;
        self.end_node(name).await;
        match self.make_node(spec, &boot.environment).await {
            Ok(made) => {
                self.nodes.places.all().insert(name.to_owned(), made.namespaces.clone());
                // Its connections are made in the namespaces of the node's earlier life.
                *self.checker.borrow_mut() = None;
                self.watch_node(name, &made.first);
                self.nodes.all.borrow_mut().insert(name.to_owned(), made);
                Ok(())
            }
            Err(error) => {
                self.clear_after(name, spec.index).await;
                Err(format!("node {name}: {error}"))
            }
        }
    }

    /// Says when a node's first process ends.
    fn watch_node(&self, name: &str, first: &Running) {
        let (name, first, inputs) = (name.to_owned(), first.clone(), self.inputs.clone());
        tokio::task::spawn_local(async move {
            first.wait().await;
            let _ = inputs.send(Input::NodeEnded(name));
        });
    }

    async fn make_node(&self, spec: &NodeSpec, environment: &Environment) -> io::Result<Node> {
        let First { namespaces, process, container, starting } = self.start_first(spec, environment).await?;
        let node = Node { namespaces: Arc::new(namespaces), first: process, container, number: spec.index };
        let ready = async {
            tokio::try_join!(starting.ready(), self.connect(&node, spec, environment))?;
            Ok(())
        };
        let result = tokio::select! {
            biased;
            result = ready => result,
            _ = node.first.wait() => Err(io::Error::other("its first process ended at once")),
            () = tokio::time::sleep(LIMIT) => Err(io::Error::other(format!("it isn't ready within {LIMIT:?}"))),
        };
        if let Err(error) = result {
            self.finish(&node).await;
            return Err(error);
        }
        Ok(node)
    }

    /// Puts a node onto the network, and tells the others how its pods are reached.
    async fn connect(&self, node: &Node, spec: &NodeSpec, environment: &Environment) -> io::Result<()> {
        let addresses = environment.addresses.clone();
        let route = |number: u32| Some((addresses.node_ip(number), addresses.pod_cidr(number).ok()?));
        let all = environment.nodes.iter().filter(|other| other.index != spec.index);
        let routes: Vec<_> = all.filter_map(|other| route(other.index)).collect();
        let own: Vec<_> = route(spec.index).into_iter().collect();
        let others = self.nodes.networks_but(&spec.name);
        let (sandbox, net, number) = (self.nodes.sandbox.clone(), node.namespaces.network().clone(), node.number);
        let connected = tokio::task::spawn_blocking(move || {
            network::detach(&sandbox, number)?;
            network::attach(&sandbox, &net, number, &addresses)?;
            network::add_routes(&net, &routes)?;
            others.iter().chain([&sandbox]).try_for_each(|other| network::add_routes(other, &own))
        });
        connected.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// Ends a node with all that is on it. Nothing happens to one that doesn't run, or has no
    /// namespaces of its own.
    pub(super) async fn end_node(&self, name: &str) {
        let Some(node) = self.nodes.all.borrow_mut().remove(name) else { return };
        self.nodes.places.all().remove(name);
        self.finish(&node).await;
        self.clear_after(name, node.number).await;
    }

    /// What a node leaves that ended: its link for a moment, and its cgroups.
    async fn clear_after(&self, name: &str, number: u32) {
        let cluster = self.boot().environment.id.clone();
        let (sandbox, node) = (self.nodes.sandbox.clone(), name.to_owned());
        let cleared = tokio::task::spawn_blocking(move || {
            node::remove_cgroups(cluster.as_str(), &node);
            network::detach(&sandbox, number)
        });
        match cleared.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::warn!("{error}"),
            Err(error) => log::error!("node {name}: {error}"),
        }
    }

    /// The kernel takes all else on a node with its first process.
    async fn finish(&self, node: &Node) {
        if node.first.exit().is_none() {
            let _ = kill(node.first.pid, Signal::SIGKILL);
        }
        node.first.wait().await;
        if let Some(container) = &node.container {
            self.take_away(container).await;
        }
    }
}
