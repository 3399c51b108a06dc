//! One planned instance of the cluster.

use super::reducer::{InstanceId, InstanceSpec, ProcessSpec};
use crate::graph::{Environment, Instance, NodeSpec};
use kubernix_core::{Endpoint, Phase};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// One planned instance.
pub(super) struct Planned {
    pub id: InstanceId,
    pub instance: Rc<Instance>,
    /// The environment that it was planned with.
    pub environment: Arc<Environment>,
    /// The directory of its logs and `run.json`.
    pub directory: PathBuf,
}

impl Planned {
    pub(super) fn new(id: InstanceId, instance: Instance, environment: &Arc<Environment>) -> Self {
        let directory = environment.state_dir(&instance.component, instance.node.as_deref());
        Self { id, instance: Rc::new(instance), environment: environment.clone(), directory }
    }

    /// Its node.
    pub(super) fn node(&self) -> Option<&NodeSpec> {
        self.instance.node.as_deref().and_then(|node| self.environment.node(node))
    }

    /// Its node, if that has its own namespaces.
    pub(super) fn own_node(&self) -> Option<&NodeSpec> {
        self.node().filter(|node| !node.placement.is_in_sandbox())
    }

    /// Whether its node is switched off. The engine then neither starts it nor waits for it.
    pub(super) fn is_off(&self) -> bool {
        self.node().is_some_and(|node| node.stopped)
    }

    pub(super) fn name(&self) -> &str {
        &self.instance.instance
    }

    /// Whether it fills a role.
    pub(super) fn fills(&self, role: &str) -> bool {
        self.endpoint(role).is_some()
    }

    /// Its endpoint for a role.
    pub(super) fn endpoint(&self, role: &str) -> Option<&Endpoint> {
        self.instance.plan.provides.iter().find(|endpoint| endpoint.role.as_str() == role)
    }

    /// Whether it needs a role of `other`.
    pub(super) fn needs(&self, other: &Self) -> bool {
        let provides = |need: &crate::graph::Need| {
            other.instance.plan.provides.iter().any(|endpoint| other.instance.at(&endpoint.role) == need.at)
        };
        self.instance.needs.iter().any(provides)
    }

    /// Its specification for the reducer. `background_addons`: the command that boots
    /// doesn't wait for addons.
    pub(super) fn spec(&self, background_addons: bool) -> InstanceSpec {
        let instance = &self.instance;
        let process = |process: &kubernix_core::Process| ProcessSpec {
            name: process.name.clone(),
            restart: process.restart,
            grace: process.stop_grace,
            one_shot: process.one_shot,
            liveness: process.liveness.as_ref().map(|liveness| (liveness.interval, liveness.failures)),
        };
        InstanceSpec {
            name: instance.instance.clone(),
            off: self.is_off(),
            background: background_addons && instance.phase == Phase::ADDON,
            own_node: self.own_node().map(|node| node.name.clone()),
            waits: instance.waits_for().cloned().collect(),
            needs: instance.needs.iter().map(|need| need.at.clone()).collect(),
            provides: instance.plan.provides.iter().map(|endpoint| instance.at(&endpoint.role)).collect(),
            processes: instance.plan.processes.iter().map(process).collect(),
            has_builds: !instance.plan.builds.is_empty(),
            has_manifests: !instance.plan.manifests.is_empty(),
        }
    }
}
