//! Questions to instances that are ready: whether they still respond.
//!
//! An instance that doesn't respond is reported and not restarted: a person may have stopped it on
//! purpose, with a debugger or SIGSTOP, and a restart would take that away. The exception are
//! processes whose plan has a liveness probe of their own.

use super::Reducer;
use super::instance::{Checks, Instance, Slot, State};
use super::types::{Action, InstanceId, Outcome, ProcessId, RequestId, StopSignal, Time, Work, WorkId};
use crate::events::Event;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between two questions to an instance that responds.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Between two questions to one that didn't.
pub(super) const RECHECK_INTERVAL: Duration = Duration::from_secs(3);
/// This many questions without an answer make an instance unresponsive.
pub(super) const MAX_MISSED: u32 = 2;

impl Instance {
    /// The processes have time until their first check.
    pub(super) fn schedule_checks(&mut self, now: Time) {
        for (checks, process) in self.checks.iter_mut().zip(&self.spec.processes) {
            if let Some((interval, _)) = process.liveness {
                (checks.next, checks.failed) = (now + interval, 0);
            }
        }
    }

    /// The slots whose processes have a liveness probe and run.
    fn checked_slots(&self) -> impl Iterator<Item = (usize, &Checks)> {
        let all = self.checks.iter().enumerate();
        all.filter(|(slot, _)| self.spec.processes[*slot].liveness.is_some() && self.slots[*slot] == Slot::Running)
    }
}

impl Reducer {
    /// Whether the processes of an instance are checked now.
    fn checks_processes(&self, instance: &Instance) -> bool {
        self.is_booted() && !self.is_copying() && matches!(instance.state, State::Ready | State::Unresponsive)
    }

    /// When the next check or kill of a process of an instance is due.
    pub(super) fn next_process_check(&self, instance: &Instance) -> Option<Time> {
        let is_checked = self.checks_processes(instance);
        let due = instance.checked_slots().filter_map(|(_, checks)| match checks {
            Checks { terminating: true, kill_at, .. } => *kill_at,
            Checks { work: None, next, .. } => is_checked.then_some(*next),
            _ => None,
        });
        due.min().filter(|_| !instance.is_ending())
    }

    /// Checks processes of an instance if it is time, and kills those that didn't end in time after
    /// they failed.
    pub(super) fn check_processes_if_due(&mut self, id: InstanceId) {
        let now = self.now;
        let Some(instance) = self.get(id).filter(|one| !one.is_ending()) else { return };
        let is_checked = self.checks_processes(instance);
        let of_slots: Vec<(usize, Checks)> = instance.checked_slots().map(|(slot, checks)| (slot, *checks)).collect();
        for (slot, checks) in of_slots {
            let Some(instance) = self.instances.get_mut(&id) else { return };
            let process = ProcessId { instance: id, slot, run: instance.runs[slot] };
            if checks.terminating {
                if checks.kill_at.is_some_and(|at| at <= now) {
                    instance.checks[slot].kill_at = None;
                    self.actions.push(Action::Signal(process, StopSignal::Kill));
                }
            } else if is_checked && checks.work.is_none() && checks.next <= now {
                let work = self.begin(Work::CheckProcess { process });
                if let Some(instance) = self.instances.get_mut(&id) {
                    instance.checks[slot].work = Some(work);
                }
            }
        }
    }

    /// A process was checked.
    pub(super) fn process_checked(&mut self, id: InstanceId, work: WorkId, outcome: &Outcome) {
        let (now, is_copying) = (self.now, self.is_copying());
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let Some(slot) = instance.checks.iter().position(|checks| checks.work == Some(work)) else { return };
        let Some(spec) = instance.spec.processes.get(slot) else { return };
        let Some((interval, most)) = spec.liveness else { return };
        let (name, grace) = (spec.name.clone(), spec.grace);
        let checks = &mut instance.checks[slot];
        (checks.work, checks.next) = (None, now + interval);
        let fault = match outcome {
            // Its processes stand still on purpose.
            Outcome::Failed(_) if is_copying => return,
            Outcome::Failed(fault) => fault,
            _ => {
                checks.failed = 0;
                return;
            }
        };
        checks.failed += 1;
        if checks.failed < most {
            return;
        }
        (checks.terminating, checks.kill_at) = (true, (!grace.is_zero()).then_some(now + grace));
        let reason = format!("process `{name}` failed {most} liveness checks in a row: {}", fault.summary);
        instance.reason = Some(reason.clone());
        let process = ProcessId { instance: id, slot, run: instance.runs[slot] };
        let (instance, was_ready) = (instance.spec.name.clone(), instance.state == State::Ready);
        if was_ready {
            self.set_state(id, State::Unresponsive);
        }
        self.emit(Event::Unresponsive { instance, reason });
        let signal = if grace.is_zero() { StopSignal::Kill } else { StopSignal::Stop };
        self.actions.push(Action::Signal(process, signal));
    }

    /// A process ended, and its checks with it. Returns what they were.
    pub(super) fn end_checks(&mut self, process: ProcessId) -> Checks {
        let Some(instance) = self.instances.get_mut(&process.instance) else { return Checks::default() };
        let Some(checks) = instance.checks.get_mut(process.slot).map(std::mem::take) else { return Checks::default() };
        if let Some(work) = checks.work {
            self.cancel_work(work);
        }
        checks
    }

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
                instance.next_check = now + RECHECK_INTERVAL;
                let enough = instance.missed >= MAX_MISSED || is_asked;
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
                instance.next_check = now + CHECK_INTERVAL;
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
