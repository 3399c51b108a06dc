//! One instance while the cluster lives.

use super::{InstanceReport, InstanceState};
use crate::graph::{Environment, Instance};
use crate::process::Running;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::watch;

/// One instance while the cluster lives.
pub(super) struct Live {
    pub planned: Rc<Instance>,
    /// Logs and `run.json` go there.
    pub directory: PathBuf,
    state: watch::Sender<InstanceState>,
    pub processes: RefCell<Vec<Running>>,
    pub restarts: Cell<u32>,
}

impl Live {
    pub(super) fn new(planned: Rc<Instance>, environment: &Environment) -> Self {
        let directory = environment.state_dir(&planned.component, planned.node.as_deref());
        let (state, _) = watch::channel(InstanceState::Waiting);
        Self { planned, directory, state, processes: RefCell::default(), restarts: Cell::new(0) }
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
