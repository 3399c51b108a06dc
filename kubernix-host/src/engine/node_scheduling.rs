//! Tells Kubernetes about nodes that are removed, switched off or switched on: drains, cordons and
//! marks them.

use super::Cluster;
use super::clients::ApiError;
use crate::api_client::{self, Api};
use crate::events::Event;
use std::time::Duration;
use tokio::time::Instant;

/// How long the pods of a removed node may take to terminate.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// Why nodes can't be drained.
#[derive(Debug, thiserror::Error)]
pub(super) enum DrainError {
    /// The API can't be used.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The pods of a node can't be evicted in time.
    #[error("node {node} can't be drained")]
    Drain { node: String, source: api_client::Error },
}

impl Cluster {
    /// Evicts the pods of nodes.
    ///
    /// # Errors
    /// A pod isn't evicted in time, for example because of a disruption budget.
    pub(super) async fn drain(&self, nodes: &[String]) -> Result<(), DrainError> {
        let Some(api) = self.api_for(nodes)? else { return Ok(()) };
        for node in nodes {
            self.emit(Event::Note { message: format!("{node}: draining its pods") });
            let drained = api.drain(node, Instant::now() + DRAIN_TIMEOUT).await;
            drained.map_err(|source| DrainError::Drain { node: node.clone(), source })?;
        }
        Ok(())
    }

    /// Uncordons nodes. A failure is only a warning, because the user can uncordon them as well.
    pub(super) async fn uncordon(&self, nodes: &[String]) {
        let Ok(Some(api)) = self.api_for(nodes) else { return };
        for node in nodes {
            if let Err(error) = api.cordon(node, false).await {
                let message =
                    format!("{node} stays cordoned: {error}; `kubectl uncordon {node}` makes it schedulable again");
                self.emit(Event::Warning { message });
            }
        }
    }

    /// Marks the nodes `off` as out of service, so that their pods are replaced at once, and
    /// removes the mark of the nodes `on`.
    pub(super) async fn mark_nodes(&self, off: &[String], on: &[String]) {
        for (nodes, out) in [(off, true), (on, false)] {
            let Ok(Some(api)) = self.api_for(nodes) else { continue };
            for node in nodes {
                if let Err(error) = api.set_out_of_service(node, out).await {
                    self.emit(Event::Warning { message: format!("node {node}: {error}") });
                }
            }
        }
    }

    /// Uncordons nodes and removes their marks, if the cluster ended during a change that had set
    /// them. Affects only nodes that are on in the committed state, and only what KuberNix has set.
    pub(super) async fn restore_nodes(&self) {
        let boot = self.boot();
        let nodes: Vec<String> =
            boot.environment.nodes.iter().filter(|node| !node.stopped).map(|node| node.name.clone()).collect();
        let Ok(Some(api)) = self.api_for(&nodes) else { return };
        for node in nodes {
            match api.restore_scheduling(&node).await {
                Ok(false) => {}
                Ok(true) => self.emit(Event::Note { message: format!("node {node}: schedulable again") }),
                Err(error) => self.emit(Event::Warning { message: format!("node {node}: {error}") }),
            }
        }
    }

    fn api_for(&self, nodes: &[String]) -> Result<Option<Api>, ApiError> {
        if nodes.is_empty() { Ok(None) } else { self.api() }
    }
}
