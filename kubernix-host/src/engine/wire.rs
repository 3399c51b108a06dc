//! Converts the engine's data to the data that crosses the control socket.

use super::{ClusterState, InstanceState};
use crate::control::wire;
use crate::network::publish::Protocol;
use crate::plugins::Source;
use crate::{api_client, cri_client};
use std::fmt;

impl From<InstanceState> for wire::InstanceState {
    fn from(state: InstanceState) -> Self {
        match state {
            InstanceState::Waiting => Self::Waiting,
            InstanceState::Starting => Self::Starting,
            InstanceState::Ready => Self::Ready,
            InstanceState::Unresponsive => Self::Unresponsive,
            InstanceState::Restarting => Self::Restarting,
            InstanceState::Failed => Self::Failed,
            InstanceState::Stopping => Self::Stopping,
            InstanceState::Stopped => Self::Stopped,
        }
    }
}

/// Its name on the wire.
impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        wire::InstanceState::from(*self).fmt(f)
    }
}

impl From<ClusterState> for wire::ClusterState {
    fn from(state: ClusterState) -> Self {
        match state {
            ClusterState::Booting => Self::Booting,
            ClusterState::Running => Self::Running,
            ClusterState::Degraded => Self::Degraded,
            ClusterState::Changing => Self::Changing,
            ClusterState::Stopping => Self::Stopping,
        }
    }
}

impl From<Source> for wire::Source {
    fn from(source: Source) -> Self {
        match source {
            Source::BuiltIn => Self::BuiltIn,
            Source::SharedLibrary { path } => Self::SharedLibrary { path },
            Source::Toml { path } => Self::Toml { path },
            Source::Manifests { path } => Self::Manifests { path },
        }
    }
}

impl From<Protocol> for wire::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
        }
    }
}

impl From<api_client::Summary> for wire::Summary {
    fn from(summary: api_client::Summary) -> Self {
        Self { nodes: summary.nodes.into_iter().map(Into::into).collect(), pods: summary.pods }
    }
}

impl From<api_client::NodeSummary> for wire::NodeSummary {
    fn from(node: api_client::NodeSummary) -> Self {
        let api_client::NodeSummary { name, ready, reason, version, runtime } = node;
        Self { name, ready, reason, version, runtime }
    }
}

impl From<cri_client::Image> for wire::Image {
    fn from(image: cri_client::Image) -> Self {
        let cri_client::Image { id, names, size } = image;
        Self { id, names, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_keep_their_names_on_the_wire() {
        let instance = |state: InstanceState| serde_json::to_value(wire::InstanceState::from(state)).unwrap();
        assert_eq!(instance(InstanceState::Unresponsive), "unresponsive");
        assert_eq!(instance(InstanceState::Restarting), "restarting");
        let cluster = |state: ClusterState| serde_json::to_value(wire::ClusterState::from(state)).unwrap();
        assert_eq!(cluster(ClusterState::Degraded), "degraded");
        assert_eq!(cluster(ClusterState::Booting), "booting");
    }
}
