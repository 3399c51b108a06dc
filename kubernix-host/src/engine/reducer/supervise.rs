//! Starts instances, and restarts them with back-off after a failed start or the exit of a process.

use super::Reducer;
use super::instance::{Instance, MAX_FAILURES, Slot, State};
use super::types::{Action, Fault, InstanceId, Outcome, ProcessId, Work, WorkId};
use crate::events::Event;
use kubernix_core::Restart;
use std::time::Duration;

impl Reducer {
    /// Begins to start an instance whose roles and node are ready.
    pub(super) fn prepare(&mut self, id: InstanceId) {
        let Some(instance) = self.get(id) else { return };
        let first = !instance.was_started;
        let until = self.deadline_of(id);
        let work = self.begin(Work::Prepare { instance: id, first, until });
        self.set_state(id, State::Preparing(work));
    }

    /// Spawns the processes of an instance that don't run, up to the first one-shot process that
    /// hasn't exited yet.
    pub(super) fn spawn_all(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let mut spawns = Vec::new();
        for (slot, state) in instance.slots.iter_mut().enumerate() {
            if *state == Slot::Idle {
                *state = Slot::Spawning;
                instance.runs[slot] += 1;
                spawns.push(ProcessId { instance: id, slot, run: instance.runs[slot] });
            }
            if instance.spec.processes[slot].one_shot && *state != Slot::Finished {
                break;
            }
        }
        if spawns.is_empty() && !instance.slots.contains(&Slot::Spawning) && !instance.has_open_one_shot() {
            return self.started(id);
        }
        self.actions.extend(spawns.into_iter().map(Action::Spawn));
    }

    /// The slot of a process, if this is its current run.
    fn slot_of(&mut self, process: ProcessId) -> Option<&mut Slot> {
        let instance = self.instances.get_mut(&process.instance)?;
        let is_current = instance.runs.get(process.slot) == Some(&process.run);
        instance.slots.get_mut(process.slot).filter(|_| is_current)
    }

    pub(super) fn spawned(&mut self, process: ProcessId) {
        let Some(slot) = self.slot_of(process) else { return };
        *slot = Slot::Running;
        let id = process.instance;
        let is_open = |one: &Instance| one.slots.contains(&Slot::Spawning) || one.has_open_one_shot();
        match self.get(id).map(|one| (one.state, is_open(one))) {
            // While the files are being written, this may be the result of an earlier start.
            Some((State::Preparing(work), false)) if !self.works.contains(&work) => self.started(id),
            // It began to stop during the spawn.
            Some((State::Stopping(_), _)) => self.advance_stop(id),
            _ => {}
        }
    }

    pub(super) fn spawn_failed(&mut self, process: ProcessId, fault: Fault) {
        let Some(slot) = self.slot_of(process) else { return };
        *slot = Slot::Idle;
        let id = process.instance;
        match self.get(id).map(|one| one.state) {
            Some(State::Preparing(_)) => self.start_failed(id, fault),
            Some(State::Stopping(_)) => self.advance_stop(id),
            _ => {}
        }
    }

    /// Starts the probes of an instance whose processes all run.
    fn started(&mut self, id: InstanceId) {
        let until = self.deadline_of(id);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let (name, first) = (instance.spec.name.clone(), !instance.was_started);
        let restarted = instance.was_started && !instance.spec.processes.is_empty();
        instance.was_started = true;
        instance.restarts += u32::from(restarted);
        let endpoints = instance.spec.provides.len();
        self.set_state(id, State::Starting);
        self.lower_priority(id);
        if first {
            self.emit(Event::Started { instance: name });
        }
        for endpoint in 0..endpoints {
            let work = self.begin(Work::Probe { instance: id, endpoint, until });
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.probing.insert(work, endpoint);
            }
        }
        self.ready_if_probed(id);
    }

    /// Handles the result of a probe of a starting instance.
    pub(super) fn probed(&mut self, id: InstanceId, work: WorkId, outcome: Outcome) {
        let Some(endpoint) = self.instances.get_mut(&id).and_then(|one| one.probing.remove(&work)) else { return };
        match outcome {
            Outcome::Failed(fault) => {
                self.stop_probing(id);
                self.start_failed(id, fault);
            }
            _ => {
                if let Some(role) = self.get(id).and_then(|one| one.spec.provides.get(endpoint)).cloned() {
                    self.set_role(id, &role, true);
                }
                self.ready_if_probed(id);
            }
        }
    }

    fn ready_if_probed(&mut self, id: InstanceId) {
        let (now, liveness) = (self.now, super::liveness::CHECK_INTERVAL);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if instance.state != State::Starting || !instance.probing.is_empty() {
            return;
        }
        let name = instance.spec.name.clone();
        instance.ready_at = Some(now);
        instance.reason = None;
        instance.missed = 0;
        instance.next_check = now + liveness;
        instance.schedule_checks(now);
        if instance.failures >= MAX_FAILURES {
            // It was reported as failed, and is reported as ready now.
            instance.failures = 0;
        }
        self.set_state(id, State::Ready);
        self.emit(Event::Ready { instance: name });
        self.lower_priority(id);
    }

    /// During a boot or change, lowers the CPU priority of an instance outside of the critical
    /// path.
    fn lower_priority(&mut self, id: InstanceId) {
        if self.bring_up().is_some() {
            self.actions.push(Action::LowerPriority(id));
        }
    }

    /// Cancels the probes and checks of an instance.
    pub(super) fn stop_probing(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let mut works: Vec<WorkId> = std::mem::take(&mut instance.probing).into_keys().collect();
        works.extend(instance.check.take());
        works.extend(instance.checks.iter_mut().filter_map(|checks| checks.work.take()));
        for work in works {
            self.cancel_work(work);
            self.report_without(work);
        }
    }

    /// Handles the exit of a process.
    pub(super) fn ended(&mut self, process: ProcessId, status: String, success: bool, log: &str) {
        let id = process.instance;
        let Some(slot) = self.slot_of(process) else { return };
        if *slot != Slot::Running {
            return;
        }
        *slot = Slot::Idle;
        let checks = self.end_checks(process);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if let State::Stopping(_) = instance.state {
            return self.advance_stop(id);
        }
        let Some(spec) = instance.spec.processes.get(process.slot).cloned() else { return };
        let name = instance.spec.name.clone();
        let has_failed = instance.state == State::Failed;
        let restarts = spec.restart == Restart::ALWAYS && !spec.one_shot;
        if spec.one_shot && success {
            return self.one_shot_done(process);
        }
        let was_up = matches!(instance.state, State::Ready | State::Unresponsive);
        if was_up {
            instance.reset_backoff(self.now);
        }
        let restarting = restarts && !has_failed;
        let before = if instance.ready_at.is_none() { " before it was ready" } else { "" };
        let cause = instance.reason.as_ref().filter(|_| checks.terminating);
        let cause = cause.map(|reason| format!("{reason}; ")).unwrap_or_default();
        let summary = format!("{cause}process `{}` ended with {status}{before}", spec.name);
        let fault = Fault { detail: format!("{summary}; {log}"), ..Fault::new(summary) };
        self.emit(Event::Exited { instance: name.clone(), process: spec.name, status, restarting });
        if !restarts && success && !checks.terminating {
            // It isn't to be restarted.
            if let Some(slot) = self.slot_of(process) {
                *slot = Slot::Finished;
            }
            return;
        }
        self.stop_probing(id);
        self.clear_roles(id);
        if has_failed {
            return;
        }
        if restarts || !was_up {
            return self.start_failed(id, fault);
        }
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.reason = Some(fault.summary.clone());
        }
        self.set_state(id, State::Failed);
        if self.is_awaited(id) {
            // It doesn't become ready again.
            self.fail_bring_up(Some(name), fault);
        }
    }

    /// Handles the successful exit of a one-shot process: spawns the next processes.
    fn one_shot_done(&mut self, process: ProcessId) {
        if let Some(slot) = self.slot_of(process) {
            *slot = Slot::Finished;
        }
        let id = process.instance;
        match self.get(id).map(|one| one.state) {
            Some(State::Preparing(work)) if !self.works.contains(&work) => self.spawn_all(id),
            // Another process has exited meanwhile. The next start continues from here.
            _ => {}
        }
    }

    /// Handles a failed start or the exit of a process: fails the boot or change, or starts the
    /// instance again after a delay.
    pub(super) fn start_failed(&mut self, id: InstanceId, fault: Fault) {
        let is_awaited = self.is_awaited(id);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let (name, was_ready) = (instance.spec.name.clone(), instance.ready_at.is_some());
        instance.reason = Some(fault.summary.clone());
        if let State::Preparing(work) = instance.state {
            self.cancel_work(work);
        }
        if is_awaited && !was_ready && !fault.transient {
            self.fail_bring_up(Some(name), fault.clone());
            // A previous instance that doesn't start in a rollback retries.
            if self.get(id).is_none_or(Instance::is_ending) {
                return;
            }
        }
        self.back_off(id, &fault);
    }

    fn back_off(&mut self, id: InstanceId, fault: &Fault) {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if matches!(instance.state, State::BackingOff { .. }) {
            // Another of its processes has exited before. They are restarted together.
            return;
        }
        let (name, backoff) = (instance.spec.name.clone(), instance.take_backoff());
        instance.failures += 1;
        let (failures, was_running) = (instance.failures, instance.state == State::Ready);
        self.set_state(id, State::BackingOff { at: now + backoff });
        if failures == MAX_FAILURES {
            self.emit(Event::Failed { instance: name, error: fault.detail.clone() });
        } else if !was_running {
            self.warn_of_retry(&format!("{name}: {}", fault.summary), backoff);
        }
    }

    /// Warns of a failure that is retried.
    pub(super) fn warn_of_retry(&mut self, why: &str, backoff: Duration) {
        self.warn(format!("{why}; next attempt in {} s", backoff.as_secs()));
    }
}
