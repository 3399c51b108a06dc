//! The plans of instances and changes, reduced to the properties that the reducer depends on.

use super::types::InstanceId;
use crate::graph::RoleAt;
use kubernix_core::Restart;
use std::time::Duration;

/// The part of a process that the reducer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    pub name: String,
    pub restart: Restart,
    /// The time between its stop signal and SIGKILL. Zero: SIGKILL at once.
    pub grace: Duration,
    /// It has to exit with success before the next processes start.
    pub one_shot: bool,
    /// The interval of its liveness checks, and the number of consecutive failures that restart it.
    pub liveness: Option<(Duration, u32)>,
}

/// The part of a planned instance that the reducer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    /// The name to show: `CRI-O (node 0)`.
    pub name: String,
    /// Its node is switched off, so it isn't started.
    pub off: bool,
    /// `up` returns without waiting for it.
    pub background: bool,
    /// The node that has to be created before it starts; `None` if it runs in the sandbox.
    pub own_node: Option<String>,
    /// Roles that have to be ready before it starts.
    pub waits: Vec<RoleAt>,
    /// All roles that it uses. Their instances stop after it.
    pub needs: Vec<RoleAt>,
    /// The roles of its endpoints, in the order of its plan.
    pub provides: Vec<RoleAt>,
    pub processes: Vec<ProcessSpec>,
    /// It has images to build and import.
    pub has_builds: bool,
    /// It has objects to apply to the Kubernetes API.
    pub has_manifests: bool,
}

/// A planned change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangePlan {
    /// Instances that stop.
    pub stops: Vec<InstanceId>,
    /// Instances that start.
    pub starts: Vec<(InstanceId, InstanceSpec)>,
    /// All instances after the change, in boot order.
    pub order: Vec<InstanceId>,
    /// Nodes that are drained first.
    pub drain: Vec<String>,
    /// Nodes to mark as out of service for the change, and for its rollback.
    pub off: Vec<String>,
    pub off_before: Vec<String>,
    /// Nodes to mark as in service for the change, and for its rollback.
    pub on: Vec<String>,
    pub on_before: Vec<String>,
    /// The time limit for its instances to become ready.
    pub limit: Duration,
}

impl ChangePlan {
    /// The IDs of the instances that start.
    pub fn starting(&self) -> impl Iterator<Item = InstanceId> {
        self.starts.iter().map(|(id, _)| *id)
    }
}
