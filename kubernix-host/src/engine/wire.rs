//! Converts the states of the engine to those of the control socket's protocol.

use super::{ClusterState, InstanceState};
use crate::control::wire;
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
