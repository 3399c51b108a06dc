//! What Kubernetes is told of nodes that go, are switched off, or come back.

use super::Cluster;
use super::instance::Live;
use crate::api::Api;
use crate::events::Event;
use kubernix_core::roles;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the pods of a node that is removed may take to go.
const EMPTYING: Duration = Duration::from_secs(120);

/// The names of nodes that have an instance among these which isn't off.
fn running<'a>(instances: impl Iterator<Item = &'a Rc<Live>>) -> BTreeSet<String> {
    instances.filter(|live| !live.is_off()).filter_map(|live| live.planned.node.clone()).collect()
}

/// The names of nodes whose kubelet is among these, and is off or not.
fn kubelets<'a>(instances: impl Iterator<Item = &'a Rc<Live>>, off: bool) -> BTreeSet<String> {
    let of_nodes = instances.filter(|live| is_kubelet(live) && live.is_off() == off);
    of_nodes.filter_map(|live| live.planned.node.clone()).collect()
}

fn is_kubelet(live: &Live) -> bool {
    live.planned.plan.provides.iter().any(|endpoint| endpoint.role.as_str() == roles::NODE)
}

impl Cluster {
    /// Moves the pods of nodes elsewhere.
    ///
    /// # Errors
    /// One doesn't go in time, because of a disruption budget for example; the nodes take pods again.
    pub(super) async fn empty(&self, nodes: &[String]) -> Result<(), String> {
        let Some(api) = self.api_for(nodes)? else { return Ok(()) };
        for node in nodes {
            self.emit(Event::Note { message: format!("{node}: its pods move elsewhere") });
            if let Err(error) = api.drain(node, Instant::now() + EMPTYING).await {
                for node in nodes {
                    if let Err(error) = api.cordon(node, false).await {
                        log::warn!("{node} stays cordoned: {error}");
                    }
                }
                return Err(format!("node {node} can't be emptied: {error}"));
            }
        }
        Ok(())
    }

    /// Ends the nodes that some of `gone` ran on, and none of `left`.
    pub(super) async fn end_nodes_without<'a>(&self, gone: &[Rc<Live>], left: impl Iterator<Item = &'a Rc<Live>>) {
        let left = running(left);
        for node in running(gone.iter()).difference(&left) {
            self.end_node(node).await;
        }
    }

    /// Says of nodes that were switched off that nothing runs there: their pods move at once.
    pub(super) async fn say_off(&self, came: &[Rc<Live>]) {
        self.tell(kubelets(came.iter(), true), true).await;
    }

    /// Says of nodes that come that they can be used.
    pub(super) async fn call_back(&self, coming: &[Rc<Live>]) {
        self.tell(kubelets(coming.iter(), false), false).await;
    }

    /// What can't be said is no reason to undo what was done.
    async fn tell(&self, nodes: BTreeSet<String>, out_of_service: bool) {
        let nodes: Vec<String> = nodes.into_iter().collect();
        let Ok(Some(api)) = self.api_for(&nodes) else { return };
        for node in nodes {
            if let Err(error) = api.set_out_of_service(&node, out_of_service).await {
                self.emit(Event::Warning { message: format!("node {node}: {error}") });
            }
        }
    }

    fn api_for(&self, nodes: &[String]) -> Result<Option<Api>, String> {
        if nodes.is_empty() { Ok(None) } else { self.api() }
    }
}
