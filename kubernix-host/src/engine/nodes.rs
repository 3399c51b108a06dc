//! The nodes with namespaces of their own: made when the first instance on one is started, made anew when they ended, and ended with
//! all that is on them.

use super::Cluster;
use super::first::First;
use super::instance::Live;
use crate::graph::{Environment, NodeSpec};
use crate::network::{HostNet, node as network};
use crate::process::{Place, Running, Spawner};
use crate::sandbox::node;
use nix::sys::signal::{Signal, kill};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::sync::Mutex;

/// One node that runs.
#[derive(Clone)]
struct Node {
    namespaces: Arc<node::Namespaces>,
    first: Running,
    container: Option<node::Container>,
    number: u32,
}

/// A node, and who is making it.
type Slot = Rc<Mutex<Option<Node>>>;

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
    pub(super) fn get(&self, node: &str) -> Option<Arc<dyn Place>> {
        self.all().get(node).cloned().map(|place| place as Arc<dyn Place>)
    }
}

/// The nodes with namespaces of their own.
pub(super) struct Nodes {
    sandbox: HostNet,
    places: Places,
    slots: RefCell<BTreeMap<String, Slot>>,
}

impl Nodes {
    /// None yet, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn of_thread() -> io::Result<Self> {
        Ok(Self { sandbox: HostNet::of_thread()?, places: Places::default(), slots: RefCell::default() })
    }

    /// Where processes of the nodes are started, now and later.
    pub(super) fn places(&self) -> Places {
        self.places.clone()
    }

    fn slot(&self, node: &str) -> Slot {
        self.slots.borrow_mut().entry(node.to_owned()).or_default().clone()
    }

    /// The nodes that run, as the init numbers their first processes.
    pub(super) fn first_processes(&self) -> BTreeMap<String, i32> {
        let slots = self.slots.borrow();
        let running = slots.iter().filter_map(|(name, slot)| {
            let node = slot.try_lock().ok()?;
            let node = node.as_ref().filter(|node| node.first.exit().is_none())?;
            Some((name.clone(), node.first.pid.as_raw()))
        });
        running.collect()
    }

    /// All that run, but for one.
    async fn others(&self, than: &str) -> Vec<Node> {
        let slots: Vec<Slot> =
            self.slots.borrow().iter().filter(|(name, _)| *name != than).map(|(_, slot)| slot.clone()).collect();
        let mut nodes = Vec::new();
        for slot in slots {
            // One that is being made learns of this node by itself.
            nodes.extend(slot.try_lock().ok().and_then(|node| node.clone()));
        }
        nodes
    }
}

impl Cluster {
    /// What starts processes where an instance is; a node that isn't there yet is made.
    ///
    /// # Errors
    /// The node can't be made.
    pub(super) async fn spawner_of(&self, live: &Live) -> Result<Spawner, String> {
        let mut spawner = self.spawner();
        if let Some(node) = live.node().filter(|node| !node.placement.is_beside()) {
            let made = self.node(node, &live.environment).await;
            spawner.place = made.map_err(|error| format!("node {}: {error}", node.name))?;
        }
        Ok(spawner)
    }

    async fn node(&self, spec: &NodeSpec, environment: &Environment) -> io::Result<Arc<dyn Place>> {
        let slot = self.nodes.slot(&spec.name);
        let mut node = slot.lock().await;
        match &*node {
            Some(node) if node.first.exit().is_none() => Ok(node.namespaces.clone()),
            ended => {
                if let Some(ended) = ended {
                    self.finish(ended).await;
                    self.clear_after(&spec.name, spec.index).await;
                }
                *node = None;
                let made = match self.make_node(spec, environment).await {
                    Ok(made) => made,
                    Err(error) => {
                        self.clear_after(&spec.name, spec.index).await;
                        return Err(error);
                    }
                };
                self.nodes.places.all().insert(spec.name.clone(), made.namespaces.clone());
                Ok(node.insert(made).namespaces.clone())
            }
        }
    }

    async fn make_node(&self, spec: &NodeSpec, environment: &Environment) -> io::Result<Node> {
        let First { namespaces, process, container, starting } = self.start_first(spec, environment).await?;
        let node = Node { namespaces: Arc::new(namespaces), first: process, container, number: spec.index };
        let ended = async {
            node.first.wait().await;
            Err(io::Error::other("its first process ended at once"))
        };
        let ready = async {
            tokio::try_join!(starting.furnished(), self.connect(&node, spec, environment))?;
            Ok(())
        };
        let result = tokio::select! {
            biased;
            result = ready => result,
            ended = ended => ended,
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
        let others: Vec<_> =
            self.nodes.others(&spec.name).await.iter().map(|node| node.namespaces.network().clone()).collect();
        let (sandbox, net, number) = (self.nodes.sandbox.clone(), node.namespaces.network().clone(), node.number);
        let connected = tokio::task::spawn_blocking(move || {
            network::leave(&sandbox, number)?;
            network::join(&sandbox, &net, number, &addresses)?;
            network::reach(&net, &routes)?;
            others.iter().chain([&sandbox]).try_for_each(|other| network::reach(other, &own))
        });
        connected.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// Ends a node with all that is on it. Nothing happens to one that doesn't run, or has no namespaces of its own.
    pub(super) async fn end_node(&self, name: &str) {
        let slot = self.nodes.slot(name);
        let Some(node) = slot.lock().await.take() else { return };
        self.nodes.places.all().remove(name);
        self.finish(&node).await;
        self.clear_after(name, node.number).await;
    }

    /// What a node leaves that ended: its link for a moment, and its cgroups.
    async fn clear_after(&self, name: &str, number: u32) {
        let (sandbox, cluster, node) =
            (self.nodes.sandbox.clone(), self.boot.environment.cluster.clone(), name.to_owned());
        let cleared = tokio::task::spawn_blocking(move || {
            node::remove_cgroups(&cluster, &node);
            network::leave(&sandbox, number)
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
