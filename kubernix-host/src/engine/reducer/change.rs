//! Changes of a running cluster, from one set of instances to another.
//!
//! A change is committed by one durable write. Until then the old state is the committed one, and
//! any failure rolls the change back (`rollback.rs`).

use super::bring_up::{BringUp, Purpose};
use super::instance::{Instance, Provision, State};
use super::spec::ChangePlan;
use super::types::{Action, Answer, InstanceId, Outcome, RequestId, Work, WorkId};
use super::{Phase, Reducer};
use std::collections::BTreeSet;

/// The stage of a change.
#[derive(Debug)]
pub(super) enum ChangeStage {
    Planning(WorkId),
    Draining(WorkId),
    /// Removed instances stop, then nodes that no instance needs end.
    StoppingOld,
    /// Nodes that are switched on are unmarked in Kubernetes.
    MarkingOn(WorkId),
    BringingUp(BringUp),
    /// Nodes that are switched off are marked in Kubernetes.
    MarkingOff(WorkId),
    Committing(WorkId),
    /// The change failed: the instances that it had started stop.
    StoppingNew,
    RollingBack(BringUp),
    /// Nodes are uncordoned, and their marks are restored.
    Undoing(BTreeSet<WorkId>),
}

/// A running change.
#[derive(Debug)]
pub(super) struct Change {
    pub request: RequestId,
    pub stage: ChangeStage,
    pub plan: ChangePlan,
    /// The order of instances before the change.
    pub order_before: Vec<InstanceId>,
    pub drained: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// After a failure: the previous instances run again.
    pub restored: bool,
}

impl Change {
    pub(super) fn bring_up(&self) -> Option<&BringUp> {
        match &self.stage {
            ChangeStage::BringingUp(bring_up) | ChangeStage::RollingBack(bring_up) => Some(bring_up),
            _ => None,
        }
    }

    pub(super) fn bring_up_mut(&mut self) -> Option<&mut BringUp> {
        match &mut self.stage {
            ChangeStage::BringingUp(bring_up) | ChangeStage::RollingBack(bring_up) => Some(bring_up),
            _ => None,
        }
    }

    /// The work of the change itself.
    pub(super) fn works(&self) -> Vec<WorkId> {
        match &self.stage {
            ChangeStage::Planning(work)
            | ChangeStage::Draining(work)
            | ChangeStage::MarkingOn(work)
            | ChangeStage::MarkingOff(work)
            | ChangeStage::Committing(work) => vec![*work],
            ChangeStage::Undoing(works) => works.iter().copied().collect(),
            _ => Vec::new(),
        }
    }
}

impl Reducer {
    pub(super) fn begin_change(&mut self, request: RequestId) {
        self.actions.push(Action::Watch(request));
        let work = self.begin(Work::Plan { request });
        let change = Change {
            request,
            stage: ChangeStage::Planning(work),
            plan: ChangePlan::default(),
            order_before: self.order.clone(),
            drained: false,
            error: None,
            restored: true,
        };
        self.phase = Phase::Changing(Box::new(change));
    }

    /// The running change.
    pub(super) fn change(&mut self) -> Option<&mut Change> {
        match &mut self.phase {
            Phase::Changing(change) => Some(change),
            _ => None,
        }
    }

    /// Removes the running change. The phase is `Running` afterwards.
    pub(super) fn take_change(&mut self) -> Option<Box<Change>> {
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Changing(change) => Some(change),
            other => {
                self.phase = other;
                None
            }
        }
    }

    pub(super) fn set_stage(&mut self, stage: ChangeStage) {
        if let Some(change) = self.change() {
            change.stage = stage;
        }
    }

    /// Handles the result of the change's own work.
    pub(super) fn change_done(&mut self, work: WorkId, outcome: Outcome) {
        let Some(change) = self.change() else { return };
        if !change.works().contains(&work) {
            return;
        }
        let is_optional =
            matches!(change.stage, ChangeStage::MarkingOn(_) | ChangeStage::MarkingOff(_) | ChangeStage::Undoing(_));
        if let (true, Outcome::Failed(fault)) = (is_optional, &outcome) {
            // The change continues.
            self.warn(format!("nodes can't be marked in Kubernetes: {}", fault.summary));
        }
        let Some(change) = self.change() else { return };
        match (&mut change.stage, outcome) {
            (ChangeStage::Planning(_), Outcome::Planned(plan)) => self.planned(*plan),
            (ChangeStage::Planning(_), Outcome::Failed(fault)) => self.reject_change(&fault),
            (ChangeStage::Draining(_), Outcome::Failed(fault)) => self.change_failed(fault),
            (ChangeStage::Draining(_), _) => {
                change.drained = true;
                self.begin_stopping_old();
            }
            (ChangeStage::MarkingOn(_), _) => self.begin_bring_up(),
            (ChangeStage::MarkingOff(_), _) => self.begin_commit(),
            (ChangeStage::Committing(_), Outcome::Failed(fault)) => self.change_failed(fault),
            (ChangeStage::Committing(_), _) => self.committed(),
            (ChangeStage::Undoing(works), _) => {
                works.remove(&work);
                if works.is_empty() {
                    self.finish_change();
                }
            }
            _ => {}
        }
    }

    fn planned(&mut self, plan: ChangePlan) {
        for (id, spec) in &plan.starts {
            self.instances.insert(*id, Instance::new(spec.clone()));
            // They start only after the removed instances have stopped.
            if let Some(instance) = self.instances.get_mut(id) {
                instance.state = State::Stopped;
            }
        }
        let drain = plan.drain.clone();
        if let Some(change) = self.change() {
            change.plan = plan;
        }
        if drain.is_empty() {
            return self.begin_stopping_old();
        }
        let work = self.begin(Work::Drain { nodes: drain });
        self.set_stage(ChangeStage::Draining(work));
    }

    fn begin_stopping_old(&mut self) {
        let Some(change) = self.change() else { return };
        let (stops, request) = (change.plan.stops.clone(), change.request);
        self.set_stage(ChangeStage::StoppingOld);
        self.actions.push(Action::Adopt(request));
        self.begin_stop(&stops);
    }

    /// Continues a change in the stages that don't end with work of its own.
    pub(super) fn advance_change(&mut self) {
        let Phase::Changing(change) = &self.phase else { return };
        let stops = || change.plan.stops.iter().copied();
        let is_at_rest = |id: InstanceId| self.get(id).is_none_or(Instance::is_at_rest);
        match &change.stage {
            ChangeStage::StoppingOld if stops().all(is_at_rest) && !self.has_surplus_nodes() => {
                let on = change.plan.on.clone();
                self.mark_or(Vec::new(), on, ChangeStage::MarkingOn, Self::begin_bring_up);
            }
            ChangeStage::BringingUp(_) if self.is_bring_up_complete() => {
                // Unmarks nodes again, because the API server itself may not have run before.
                let (off, on) = (change.plan.off.clone(), change.plan.on.clone());
                self.actions.push(Action::RestorePriorities);
                self.mark_or(off, on, ChangeStage::MarkingOff, Self::begin_commit);
            }
            // Removed instances may still be stopping, if the change failed early.
            ChangeStage::StoppingNew
                if change.plan.starting().chain(stops()).all(is_at_rest) && !self.has_surplus_nodes() =>
            {
                self.begin_rollback();
            }
            ChangeStage::RollingBack(_) if self.is_bring_up_complete() => {
                self.actions.push(Action::RestorePriorities);
                self.undo();
            }
            _ => {}
        }
    }

    /// Marks nodes in Kubernetes and enters this stage, or continues if there are none.
    fn mark_or(
        &mut self,
        off: Vec<String>,
        on: Vec<String>,
        stage: fn(WorkId) -> ChangeStage,
        otherwise: fn(&mut Self),
    ) {
        if off.is_empty() && on.is_empty() {
            return otherwise(self);
        }
        let work = self.begin(Work::MarkNodes { off, on });
        self.set_stage(stage(work));
    }

    fn begin_bring_up(&mut self) {
        let Some(change) = self.change() else { return };
        let (starts, order) = (change.plan.starting().collect(), change.plan.order.clone());
        self.start_instances(&starts, order, Purpose::Change, ChangeStage::BringingUp);
    }

    /// Begins to bring up instances. `order`: all instances from now on.
    pub(super) fn start_instances(
        &mut self,
        starts: &BTreeSet<InstanceId>,
        order: Vec<InstanceId>,
        kind: Purpose,
        stage: fn(BringUp) -> ChangeStage,
    ) {
        let Some(limit) = self.change().map(|change| change.plan.limit) else { return };
        for id in starts {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.reset();
            }
        }
        let bring_up = BringUp::new(self.with_reprovisioned(starts, &order), self.now + limit, kind);
        self.order.clone_from(&order);
        self.actions.push(Action::Order(order));
        self.set_stage(stage(bring_up));
        self.actions.push(Action::BringUp);
    }

    /// The instances that start, and the kept ones whose images may be missing in a new runtime.
    /// The images of the latter are loaded again.
    fn with_reprovisioned(&mut self, starts: &BTreeSet<InstanceId>, order: &[InstanceId]) -> BTreeSet<InstanceId> {
        let mut awaited = starts.clone();
        for id in order.iter().filter(|id| !starts.contains(id)) {
            let Some(instance) = self.instances.get_mut(id) else { continue };
            if instance.spec.has_builds
                && matches!(instance.state, State::Ready)
                && instance.provision == Provision::Done
            {
                instance.provision = Provision::Images { objects: false };
                awaited.insert(*id);
            }
        }
        awaited
    }

    fn begin_commit(&mut self) {
        let Some(request) = self.change().map(|change| change.request) else { return };
        let work = self.begin(Work::Commit { request });
        self.set_stage(ChangeStage::Committing(work));
    }

    fn committed(&mut self) {
        self.revision += 1;
        let Some(change) = self.take_change() else { return };
        self.remove(change.plan.stops);
        self.actions.push(Action::Reply(change.request, Answer::Changed));
    }

    /// Removes instances.
    pub(super) fn remove(&mut self, ids: impl IntoIterator<Item = InstanceId>) {
        for id in ids {
            self.instances.remove(&id);
        }
        self.actions.push(Action::Order(self.order.clone()));
    }
}
