//! One instance while the cluster lives.

use super::{InstanceReport, InstanceState};
use crate::graph::{Environment, Instance, NodeSpec};
use crate::process::Running;
use crate::root::Root;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// One instance while the cluster lives.
pub(super) struct Live {
    pub planned: Rc<Instance>,
    /// What it was planned from.
    pub environment: Arc<Environment>,
    /// Logs and `run.json` go there.
    pub directory: PathBuf,
    state: watch::Sender<InstanceState>,
    pub processes: RefCell<Vec<Running>>,
    pub restarts: Cell<u32>,
}

impl Live {
    pub(super) fn new(planned: Rc<Instance>, environment: &Arc<Environment>) -> Self {
        let directory = environment.state_dir(&planned.component, planned.node.as_deref());
        let is_off = planned.node.as_deref().is_some_and(|node| environment.is_off(node));
        let state = if is_off { InstanceState::Stopped } else { InstanceState::Waiting };
        let (state, _) = watch::channel(state);
        let environment = environment.clone();
        Self { planned, environment, directory, state, processes: RefCell::default(), restarts: Cell::new(0) }
    }

    /// The cluster's directory.
    pub(super) fn root(&self) -> Root {
        let path = &self.environment.root;
        Root::new(path.parent().unwrap_or(path), &self.environment.cluster)
    }

    /// The node that it is on.
    pub(super) fn node(&self) -> Option<&NodeSpec> {
        self.planned.node.as_deref().and_then(|node| self.environment.node(node))
    }

    /// Its node isn't to run: it is a part of the cluster that nobody starts or waits for.
    pub(super) fn is_off(&self) -> bool {
        self.node().is_some_and(|node| node.stopped)
    }

    pub(super) fn name(&self) -> &str {
        &self.planned.instance
    }

    pub(super) fn state(&self) -> InstanceState {
        *self.state.borrow()
    }

    pub(super) fn set(&self, state: InstanceState) {
        self.state.send_replace(state);
    }

    /// Its end was ordered: processes that end now are not started again.
    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.state(), InstanceState::Stopping | InstanceState::Stopped)
    }

    pub(super) async fn stopped(&self) {
        let mut state = self.state.subscribe();
        // The sender is our own.
        let _ = state.wait_for(|state| *state == InstanceState::Stopped).await;
    }

    /// Whether `other` has to be up before this one.
    pub(super) fn needs(&self, other: &Self) -> bool {
        let provides = |need: &crate::graph::Need| {
            other.planned.plan.provides.iter().any(|endpoint| other.planned.at(&endpoint.role) == need.at)
        };
        self.planned.needs.iter().any(provides)
    }

    pub(super) fn report(&self) -> InstanceReport {
        let planned = &self.planned;
        let processes = self.processes.borrow();
        InstanceReport {
            instance: planned.instance.clone(),
            component: planned.component.clone(),
            phase: planned.phase.to_string(),
            node: planned.node.clone(),
            source: planned.registered.source.clone(),
            version: planned.registered.version.clone(),
            roles: planned.plan.provides.iter().map(|endpoint| endpoint.role.to_string()).collect(),
            state: self.state(),
            pids: processes.iter().filter(|p| p.exit().is_none()).map(|p| p.pid.as_raw()).collect(),
            restarts: self.restarts.get(),
            logs: planned.plan.processes.iter().map(|p| self.directory.join(format!("{}.log", p.name))).collect(),
        }
    }
}
