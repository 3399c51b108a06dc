//! What Kubernetes is told of nodes that are removed, switched off, or come back.

use super::Cluster;
use crate::api::Api;
use crate::events::Event;
use std::time::Duration;
use tokio::time::Instant;

/// How long the pods of a node that is removed may take to go.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

impl Cluster {
    /// Moves the pods of nodes elsewhere.
    ///
    /// # Errors
    /// One doesn't go in time, because of a disruption budget for example.
    pub(super) async fn drain(&self, nodes: &[String]) -> Result<(), String> {
        let Some(api) = self.api_for(nodes)? else { return Ok(()) };
        for node in nodes {
            self.emit(Event::Note { message: format!("{node}: its pods move elsewhere") });
            let drained = api.drain(node, Instant::now() + DRAIN_LIMIT).await;
            drained.map_err(|error| format!("node {node} can't be emptied: {error}"))?;
        }
        Ok(())
    }

    /// Lets nodes take pods again. What can't be said is no reason to fail: it can be said by hand.
    pub(super) async fn uncordon(&self, nodes: &[String]) {
        let Ok(Some(api)) = self.api_for(nodes) else { return };
        for node in nodes {
            if let Err(error) = api.cordon(node, false).await {
                let message =
                    format!("{node} stays cordoned: {error}; `kubectl uncordon {node}` lets it take pods again");
                self.emit(Event::Warning { message });
            }
        }
    }

    /// Says of the nodes `off` that nothing runs there, so that their pods move at once, and of the
    /// nodes `on` that they can be used.
    pub(super) async fn tell_service(&self, off: &[String], on: &[String]) {
        for (nodes, out) in [(off, true), (on, false)] {
            let Ok(Some(api)) = self.api_for(nodes) else { continue };
            for node in nodes {
                if let Err(error) = api.set_out_of_service(node, out).await {
                    self.emit(Event::Warning { message: format!("node {node}: {error}") });
                }
            }
        }
    }

    /// Takes back what a change told Kubernetes of nodes that run, if the cluster ended before the
    /// change did: a node that the state in force says is on is neither out of service nor kept
    /// from taking pods by us.
    pub(super) async fn settle_nodes(&self) {
        let boot = self.boot();
        let nodes: Vec<String> =
            boot.environment.nodes.iter().filter(|node| !node.stopped).map(|node| node.name.clone()).collect();
        let Ok(Some(api)) = self.api_for(&nodes) else { return };
        for node in nodes {
            match api.restore_scheduling(&node).await {
                Ok(false) => {}
                Ok(true) => self.emit(Event::Note { message: format!("node {node}: it takes pods again") }),
                Err(error) => self.emit(Event::Warning { message: format!("node {node}: {error}") }),
            }
        }
    }

    fn api_for(&self, nodes: &[String]) -> Result<Option<Api>, String> {
        if nodes.is_empty() { Ok(None) } else { self.api() }
    }
}
