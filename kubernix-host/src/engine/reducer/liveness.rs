//! Checks of ready instances and their processes.
//!
//! An instance that doesn't respond is reported, but not restarted: a user may have stopped it on
//! purpose, with a debugger or SIGSTOP. Only a process whose plan has a liveness probe is
//! restarted.

use super::Reducer;
use super::instance::{Checks, Instance, Slot, State};
use super::types::{Action, InstanceId, Outcome, ProcessId, RequestId, StopSignal, Time, Work, WorkId};
use crate::events::Event;
use std::collections::BTreeSet;
use std::time::Duration;

/// The interval of checks of an instance that responds.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// The interval after a failed check.
pub(super) const RECHECK_INTERVAL: Duration = Duration::from_secs(3);
/// So many consecutive failed checks make an instance unresponsive.
pub(super) const MAX_MISSED: u32 = 2;

impl Instance {
    /// Schedules the first liveness checks of its processes.
    pub(super) fn schedule_checks(&mut self, now: Time) {
        for (checks, process) in self.checks.iter_mut().zip(&self.spec.processes) {
            if let Some((interval, _)) = process.liveness {
                (checks.next, checks.failed) = (now + interval, 0);
            }
        }
    }

    /// The slots of running processes that have a liveness probe.
    fn checked_slots(&self) -> impl Iterator<Item = (usize, &Checks)> {
        let all = self.checks.iter().enumerate();
        all.filter(|(slot, _)| self.spec.processes[*slot].liveness.is_some() && self.slots[*slot] == Slot::Running)
    }
}

impl Reducer {
    /// Whether the processes of an instance may be checked now.
    fn checks_processes(&self, instance: &Instance) -> bool {
        self.is_booted() && !self.is_copying() && matches!(instance.state, State::Ready | State::Unresponsive)
    }

    /// The time of the next check or kill of an instance's processes.
    pub(super) fn next_process_check(&self, instance: &Instance) -> Option<Time> {
        let is_checked = self.checks_processes(instance);
        let due = instance.checked_slots().filter_map(|(_, checks)| match checks {
            Checks { terminating: true, kill_at, .. } => *kill_at,
            Checks { work: None, next, .. } => is_checked.then_some(*next),
            _ => None,
        });
        due.min().filter(|_| !instance.is_ending())
    }

    /// Starts the due checks of an instance's processes, and kills processes whose grace period
    /// after failed checks has passed.
    pub(super) fn check_processes_if_due(&mut self, id: InstanceId) {
        let now = self.now;
        let Some(instance) = self.get(id).filter(|one| !one.is_ending()) else { return };
        let is_checked = self.checks_processes(instance);
        let slots: Vec<(usize, Checks)> = instance.checked_slots().map(|(slot, checks)| (slot, *checks)).collect();
        for (slot, checks) in slots {
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

    /// Handles the result of a process's liveness check.
    pub(super) fn process_checked(&mut self, id: InstanceId, work: WorkId, outcome: &Outcome) {
        let (now, is_copying) = (self.now, self.is_copying());
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let Some(slot) = instance.checks.iter().position(|checks| checks.work == Some(work)) else { return };
        let Some(spec) = instance.spec.processes.get(slot) else { return };
        let Some((interval, max_failures)) = spec.liveness else { return };
        let (name, grace) = (spec.name.clone(), spec.grace);
        let checks = &mut instance.checks[slot];
        (checks.work, checks.next) = (None, now + interval);
        let fault = match outcome {
            // Its processes are paused for the copy.
            Outcome::Failed(_) if is_copying => return,
            Outcome::Failed(fault) => fault,
            _ => {
                checks.failed = 0;
                return;
            }
        };
        checks.failed += 1;
        if checks.failed < max_failures {
            return;
        }
        (checks.terminating, checks.kill_at) = (true, (!grace.is_zero()).then_some(now + grace));
        let reason = format!("process `{name}` failed {max_failures} liveness checks in a row: {}", fault.summary);
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

    /// Ends the checks of a process that has exited, and returns them.
    pub(super) fn end_checks(&mut self, process: ProcessId) -> Checks {
        let Some(instance) = self.instances.get_mut(&process.instance) else { return Checks::default() };
        let Some(checks) = instance.checks.get_mut(process.slot).map(std::mem::take) else { return Checks::default() };
        if let Some(work) = checks.work {
            self.cancel_work(work);
        }
        checks
    }

    /// Whether an instance may be checked now.
    pub(super) fn checks_liveness(&self, instance: &Instance) -> bool {
        self.is_booted()
            && matches!(instance.state, State::Ready | State::Unresponsive)
            && instance.check.is_none()
            && !self.is_copying()
            && !instance.spec.provides.is_empty()
    }

    /// Checks an instance if it is due.
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

    /// Handles the result of an instance's check.
    pub(super) fn checked(&mut self, id: InstanceId, work: WorkId, outcome: &Outcome) {
        let (now, is_copying) = (self.now, self.is_copying());
        let is_for_report = self.reports.iter().any(|(_, works)| works.contains(&work));
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.check = None;
        let name = instance.spec.name.clone();
        match outcome {
            // Its processes are paused for the copy.
            Outcome::Failed(_) if is_copying => {}
            Outcome::Failed(fault) => {
                instance.missed += 1;
                instance.next_check = now + RECHECK_INTERVAL;
                let is_unresponsive = instance.missed >= MAX_MISSED || is_for_report;
                if is_unresponsive {
                    instance.reason = Some(fault.summary.clone());
                }
                if is_unresponsive && instance.state == State::Ready {
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

    /// Checks all instances, and reports when all checks have ended.
    pub(super) fn report_checked(&mut self, request: RequestId) {
        let due: Vec<(InstanceId, Option<WorkId>)> = self
            .order
            .iter()
            .filter_map(|id| Some((*id, self.get(*id)?)))
            .filter(|(_, one)| one.check.is_some() || self.checks_liveness(one))
            .map(|(id, one)| (id, one.check))
            .collect();
        let works: BTreeSet<WorkId> =
            due.into_iter().map(|(id, running)| running.unwrap_or_else(|| self.check(id))).collect();
        if works.is_empty() {
            return self.actions.push(Action::Report(request));
        }
        self.reports.push((request, works));
    }

    /// Removes a check that ended or was cancelled from the reports that wait for it, and sends
    /// those that are complete.
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
