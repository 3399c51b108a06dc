//! Cancels and rolls back a change: the new instances stop, and the previous ones start again.

use super::Reducer;
use super::bring_up::Purpose;
use super::change::ChangeStage;
use super::requests::refusal;
use super::types::{Action, Answer, Fault, InstanceId, Outcome, RequestId, Work};
use std::collections::BTreeSet;

impl Reducer {
    /// Rejects a change whose instances can't be planned.
    pub(super) fn reject_change(&mut self, fault: &Fault) {
        if let Some(change) = self.change() {
            change.error = Some(fault.detail.clone());
        }
        self.finish_change();
    }

    /// Cancels a change on request of its command. Does nothing if it is being committed or rolled
    /// back already.
    pub(super) fn cancel(&mut self, request: RequestId) {
        if let Some(at) = self.queue.iter().position(|(queued, _)| *queued == request) {
            if let Some((_, kind)) = self.queue.remove(at) {
                self.actions.push(Action::Reply(request, refusal(kind, "interrupted")));
            }
            return;
        }
        let Some(change) = self.change().filter(|change| change.request == request) else { return };
        let is_too_late = matches!(
            change.stage,
            ChangeStage::Committing(_)
                | ChangeStage::StoppingNew
                | ChangeStage::RollingBack(_)
                | ChangeStage::Undoing(_)
        );
        if !is_too_late {
            self.change_failed(Fault::new("interrupted"));
        }
    }

    /// Begins the rollback of a change, or ends a rollback that failed as well.
    pub(super) fn change_failed(&mut self, fault: Fault) {
        let Some(change) = self.change() else { return };
        let works = change.works();
        if let ChangeStage::RollingBack(_) = change.stage {
            // The previous instances don't become ready in time. They continue to retry.
            change.restored = false;
            if let Some(error) = &mut change.error {
                error.push_str(&format!("\nthe previous instances aren't ready: {}", fault.detail));
            }
            self.cancel_bring_up();
            return self.undo();
        }
        change.error = Some(fault.detail.clone());
        let has_begun = !matches!(change.stage, ChangeStage::Planning(_) | ChangeStage::Draining(_));
        // A cancelled drain leaves nodes cordoned.
        change.drained |= matches!(change.stage, ChangeStage::Draining(_));
        let starts: Vec<InstanceId> = change.plan.starting().collect();
        self.cancel_bring_up();
        works.into_iter().for_each(|work| self.cancel_work(work));
        if !has_begun {
            return self.undo();
        }
        self.warn(format!("{}: rolling back the change", fault.summary));
        self.set_stage(ChangeStage::StoppingNew);
        self.begin_stop(&starts);
    }

    pub(super) fn begin_rollback(&mut self) {
        let Some(change) = self.change() else { return };
        let (old, order) = (change.plan.stops.iter().copied().collect(), change.order_before.clone());
        self.actions.push(Action::Restore);
        self.start_instances(&old, order, Purpose::Rollback, ChangeStage::RollingBack);
    }

    /// Uncordons the drained nodes, and restores the marks of nodes.
    pub(super) fn undo(&mut self) {
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

    pub(super) fn finish_change(&mut self) {
        let Some(change) = self.take_change() else { return };
        self.remove(change.plan.starting());
        let (error, restored) = (change.error.unwrap_or_default(), change.restored);
        self.actions.push(Action::Reply(change.request, Answer::ChangeFailed { error, restored }));
    }

    /// Ends a change because the cluster stops. A commit continues, because only its result tells
    /// which state is on disk.
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

    /// Handles the result of a commit that continued while the cluster stops.
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
