//! A change of a running cluster: from one set of instances to another, or back.
//!
//! It is committed by one durable write. Until then the old state is the one in force, on disk and
//! for whatever fails: the new instances end and the old ones come back.

use super::bring_up::{BringUp, Purpose};
use super::instance::{Instance, Provision, State};
use super::requests::refusal;
use super::types::{Action, Answer, ChangePlan, Fault, InstanceId, Outcome, RequestId, Work, WorkId};
use super::{Phase, Reducer};
use std::collections::BTreeSet;

/// Where a change is.
#[derive(Debug)]
pub(super) enum ChangeStage {
    Planning(WorkId),
    Draining(WorkId),
    /// Instances that go, and nodes without any, end.
    StoppingOld,
    /// Kubernetes is told of nodes that come back.
    MarkingOn(WorkId),
    BringingUp(BringUp),
    /// Kubernetes is told of nodes that are switched off.
    MarkingOff(WorkId),
    Committing(WorkId),
    /// The change failed: what it had started ends.
    StoppingNew,
    RollingBack(BringUp),
    /// Nodes take pods again, or are out of service again.
    Undoing(BTreeSet<WorkId>),
}

/// A change that is going on.
#[derive(Debug)]
pub(super) struct Change {
    pub request: RequestId,
    pub stage: ChangeStage,
    plan: ChangePlan,
    /// The order before the change.
    order_before: Vec<InstanceId>,
    drained: bool,
    /// Why it came to nothing.
    error: Option<String>,
    /// What ran before runs again.
    restored: bool,
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

    fn change(&mut self) -> Option<&mut Change> {
        match &mut self.phase {
            Phase::Changing(change) => Some(change),
            _ => None,
        }
    }

    /// Takes the change that is over; the cluster just runs from then on.
    fn take_change(&mut self) -> Option<Box<Change>> {
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Changing(change) => Some(change),
            other => {
                self.phase = other;
                None
            }
        }
    }

    fn set_stage(&mut self, stage: ChangeStage) {
        if let Some(change) = self.change() {
            change.stage = stage;
        }
    }

    /// Work of the change itself ended.
    pub(super) fn change_done(&mut self, work: WorkId, outcome: Outcome) {
        let Some(change) = self.change() else { return };
        if !change.works().contains(&work) {
            return;
        }
        let is_told =
            matches!(change.stage, ChangeStage::MarkingOn(_) | ChangeStage::MarkingOff(_) | ChangeStage::Undoing(_));
        if let (true, Outcome::Failed(fault)) = (is_told, &outcome) {
            // It has to go on without.
            self.warn(format!("Kubernetes wasn't told of nodes that change: {}", fault.summary));
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
            // They begin when what goes has ended.
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

    /// Goes on with a change where that doesn't hang on the end of its own work.
    pub(super) fn advance_change(&mut self) {
        let Phase::Changing(change) = &self.phase else { return };
        let stops = || change.plan.stops.iter().copied();
        let rests = |id: InstanceId| self.get(id).is_none_or(Instance::is_at_rest);
        match &change.stage {
            ChangeStage::StoppingOld if stops().all(rests) && !self.has_surplus_nodes() => {
                let on = change.plan.on.clone();
                self.mark_or(Vec::new(), on, ChangeStage::MarkingOn, Self::begin_bring_up);
            }
            ChangeStage::BringingUp(_) if self.is_bring_up_complete() => {
                // Also once more of those that are back: the API server itself may have been away
                // before.
                let (off, on) = (change.plan.off.clone(), change.plan.on.clone());
                self.actions.push(Action::RestorePriorities);
                self.mark_or(off, on, ChangeStage::MarkingOff, Self::begin_commit);
            }
            // What goes may still be on its way out, if the change failed early.
            ChangeStage::StoppingNew
                if change.plan.starting().chain(stops()).all(rests) && !self.has_surplus_nodes() =>
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

    /// Tells Kubernetes of nodes, if there are any to tell of.
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

    /// Lets instances that were put aside start, and waits for them. `order`: all instances from
    /// now on.
    fn start_instances(
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

    /// Instances that start, and those that stay and whose images may be missing in a new runtime.
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
        self.forget(change.plan.stops);
        self.actions.push(Action::Reply(change.request, Answer::Changed));
    }

    /// Instances that ended for good.
    fn forget(&mut self, ids: impl IntoIterator<Item = InstanceId>) {
        for id in ids {
            self.instances.remove(&id);
        }
        self.actions.push(Action::Order(self.order.clone()));
    }

    /// A change whose instances can't even be planned: nothing was touched.
    fn reject_change(&mut self, fault: &Fault) {
        if let Some(change) = self.change() {
            change.error = Some(fault.detail.clone());
        }
        self.finish_change();
    }

    /// The command wants a change undone. Once it is being committed it is too late for that.
    pub(super) fn cancel(&mut self, request: RequestId) {
        if let Some(at) = self.queue.iter().position(|(queued, _)| *queued == request) {
            if let Some((_, kind)) = self.queue.remove(at) {
                self.actions.push(Action::Reply(request, refusal(kind, "interrupted")));
            }
            return;
        }
        let Some(change) = self.change().filter(|change| change.request == request) else { return };
        let is_over = matches!(
            change.stage,
            ChangeStage::Committing(_)
                | ChangeStage::StoppingNew
                | ChangeStage::RollingBack(_)
                | ChangeStage::Undoing(_)
        );
        if !is_over {
            self.change_failed(Fault::new("interrupted"));
        }
    }

    /// A change came to nothing: goes back to what ran before.
    pub(super) fn change_failed(&mut self, fault: Fault) {
        let Some(change) = self.change() else { return };
        let works = change.works();
        if let ChangeStage::RollingBack(_) = change.stage {
            // What ran before doesn't come back in time. Its instances go on trying.
            change.restored = false;
            if let Some(error) = &mut change.error {
                error.push_str(&format!("\nand what ran before doesn't come back: {}", fault.detail));
            }
            self.cancel_bring_up();
            return self.undo();
        }
        change.error = Some(fault.detail.clone());
        let has_begun = !matches!(change.stage, ChangeStage::Planning(_) | ChangeStage::Draining(_));
        // A drain that is broken off leaves nodes cordoned.
        change.drained |= matches!(change.stage, ChangeStage::Draining(_));
        let starts: Vec<InstanceId> = change.plan.starting().collect();
        self.cancel_bring_up();
        works.into_iter().for_each(|work| self.cancel_work(work));
        if !has_begun {
            return self.undo();
        }
        self.warn(format!("{}: going back to what ran before", fault.summary));
        self.set_stage(ChangeStage::StoppingNew);
        self.begin_stop(&starts);
    }

    fn begin_rollback(&mut self) {
        let Some(change) = self.change() else { return };
        let (old, order) = (change.plan.stops.iter().copied().collect(), change.order_before.clone());
        self.actions.push(Action::Restore);
        self.start_instances(&old, order, Purpose::Rollback, ChangeStage::RollingBack);
    }

    /// Takes back what Kubernetes was told.
    fn undo(&mut self) {
        let Some(change) = self.change() else { return };
        let (drained, plan) = (change.drained, &change.plan);
        let (drain, off, on) = (plan.drain.clone(), plan.off_before.clone(), plan.on_before.clone());
        let mut works = BTreeSet::new();
        if drained {
            works.insert(self.begin(Work::Uncordon { nodes: drain }));
        }
        if !off.is_empty() || !on.is_empty() {
            works.insert(self.begin(Work::MarkNodes { off, on }));
        }
        if works.is_empty() {
            return self.finish_change();
        }
        self.set_stage(ChangeStage::Undoing(works));
    }

    fn finish_change(&mut self) {
        let Some(change) = self.take_change() else { return };
        self.forget(change.plan.starting());
        let (error, restored) = (change.error.unwrap_or_default(), change.restored);
        self.actions.push(Action::Reply(change.request, Answer::ChangeFailed { error, restored }));
    }

    /// The cluster ends while it changes. A commit goes on: only its result says what is on disk.
    pub(super) fn abort_change(&mut self) {
        let Some(change) = self.take_change() else { return };
        if let ChangeStage::Committing(work) = change.stage {
            self.committing = Some((change.request, work));
            return;
        }
        change.works().into_iter().for_each(|work| self.cancel_work(work));
        let error = "the cluster is ending".to_owned();
        self.actions.push(Action::Reply(change.request, Answer::ChangeFailed { error, restored: false }));
    }

    /// The commit of a change ended while the cluster does.
    pub(super) fn committed_during_stop(&mut self, request: RequestId, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Failed(fault) => Answer::ChangeFailed { error: fault.detail, restored: false },
            _ => {
                self.revision += 1;
                Answer::Changed
            }
        };
        self.actions.push(Action::Reply(request, answer));
    }
}
