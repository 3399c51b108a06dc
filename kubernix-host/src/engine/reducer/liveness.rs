//! Questions to instances that are ready: whether they still respond.
//!
//! An instance that doesn't respond is reported and not restarted: a person may have stopped it on
//! purpose, with a debugger or SIGSTOP, and a restart would take that away.

use super::Reducer;
use super::instance::{Instance, State};
use super::types::{Action, InstanceId, Outcome, RequestId, Work, WorkId};
use crate::events::Event;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two questions to an instance that responds.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);
/// Between two questions to one that didn't.
pub(super) const RECHECK: Duration = Duration::from_secs(3);
/// This many questions without an answer make an instance unresponsive.
pub(super) const MISSES: u32 = 2;

impl Reducer {
    /// Whether an instance is asked from time to time.
    pub(super) fn checks_liveness(&self, instance: &Instance) -> bool {
        self.is_booted()
            && matches!(instance.state, State::Ready | State::Unresponsive)
            && instance.check.is_none()
            && !self.is_copying()
            && !instance.spec.provides.is_empty()
    }

    /// Asks an instance if it is time.
    pub(super) fn check_if_due(&mut self, id: InstanceId) {
        let now = self.now;
        if self.get(id).is_some_and(|one| self.checks_liveness(one) && one.next_check <= now) {
            self.check(id);
        }
    }

    fn check(&mut self, id: InstanceId) -> WorkId {
        let work = self.begin(Work::Check { instance: id });
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.check = Some(work);
        }
        work
    }

    /// An instance answered, or it didn't.
    pub(super) fn checked(&mut self, id: InstanceId, work: WorkId, outcome: &Outcome) {
        let (now, is_copying) = (self.now, self.is_copying());
        let is_asked = self.reports.iter().any(|(_, works)| works.contains(&work));
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.check = None;
        let name = instance.spec.name.clone();
        match outcome {
            // Its processes stand still on purpose.
            Outcome::Failed(_) if is_copying => {}
            Outcome::Failed(fault) => {
                instance.missed += 1;
                instance.next_check = now + RECHECK;
                let enough = instance.missed >= MISSES || is_asked;
                if enough {
                    instance.reason = Some(fault.summary.clone());
                }
                if enough && instance.state == State::Ready {
                    self.set_state(id, State::Unresponsive);
                    self.emit(Event::Unresponsive { instance: name, reason: fault.summary.clone() });
                }
            }
            _ => {
                instance.missed = 0;
                instance.next_check = now + INTERVAL;
                if instance.state == State::Unresponsive {
                    instance.reason = None;
                    self.set_state(id, State::Ready);
                    self.emit(Event::Ready { instance: name });
                }
            }
        }
        self.report_without(work);
    }

    /// Asks all instances, and reports when each has answered or didn't in time.
    pub(super) fn report_checked(&mut self, request: RequestId) {
        let due: Vec<(InstanceId, Option<WorkId>)> = self
            .order
            .iter()
            .filter_map(|id| Some((*id, self.get(*id)?)))
            .filter(|(_, one)| one.check.is_some() || self.checks_liveness(one))
            .map(|(id, one)| (id, one.check))
            .collect();
        let works: BTreeSet<WorkId> =
            due.into_iter().map(|(id, going_on)| going_on.unwrap_or_else(|| self.check(id))).collect();
        if works.is_empty() {
            return self.actions.push(Action::Report(request));
        }
        self.reports.push((request, works));
    }

    /// A check ended, or its result is not needed: reports that waited for it alone are given.
    pub(super) fn report_without(&mut self, work: WorkId) {
        for (_, works) in &mut self.reports {
            works.remove(&work);
        }
        let (complete, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.reports).into_iter().partition(|(_, works)| works.is_empty());
        self.reports = waiting;
        self.actions.extend(complete.into_iter().map(|(request, _)| Action::Report(request)));
    }
}
