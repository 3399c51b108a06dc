//! Stops instances in order: each after all that need it, and after its component's `before_stop`.

use super::instance::{Slot, Stage, State};
use super::types::{Action, End, EndCause, InstanceId, Outcome, ProcessId, StopSignal, Work};
use super::{Phase, Reducer};
use crate::events::Event;
use std::time::Duration;

impl Reducer {
    /// Begins to stop the cluster. Does nothing if it stops already.
    pub(super) fn stop_all(&mut self, end: End, by: EndCause) {
        if matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        self.actions.push(Action::RecordEnd(by));
        if let Some(work) = self.restoring_nodes.take() {
            self.cancel_work(work);
        }
        self.cancel_bring_up();
        self.abort_change();
        self.reject_queue();
        self.phase = Phase::Stopping(end);
        let all: Vec<InstanceId> = self.instances.keys().copied().collect();
        self.begin_stop(&all);
    }

    /// Begins to stop instances, and cancels their work.
    pub(super) fn begin_stop(&mut self, ids: &[InstanceId]) {
        for id in ids {
            self.stop_probing(*id);
            self.cancel_provision(*id);
            let Some(instance) = self.get(*id) else { continue };
            let was_up = matches!(instance.state, State::Ready | State::Unresponsive | State::BackingOff { .. });
            match instance.state {
                State::Off => self.set_state(*id, State::Stopped),
                State::Stopping(_) | State::Stopped => {}
                state => {
                    if let State::Preparing(work) = state {
                        self.cancel_work(work);
                    }
                    self.set_state(*id, State::Stopping(Stage::Dependents { was_up }));
                }
            }
        }
    }

    /// Continues to stop an instance as far as possible.
    pub(super) fn advance_stop(&mut self, id: InstanceId) {
        let Some(State::Stopping(stage)) = self.get(id).map(|one| one.state) else { return };
        match stage {
            Stage::Dependents { .. } if self.has_running_dependents(id) => {}
            Stage::Dependents { was_up } => self.begin_end(id, was_up),
            Stage::Hook(_) => {}
            Stage::Signalled { slot, .. } => {
                let runs = self.get(id).and_then(|one| one.slots.get(slot)).is_some_and(|slot| *slot == Slot::Running);
                if !runs {
                    self.signal_next(id);
                }
            }
        }
    }

    /// Whether instances that need this one are still stopping.
    fn has_running_dependents(&self, id: InstanceId) -> bool {
        let Some(instance) = self.get(id) else { return false };
        self.instances.iter().any(|(other, one)| {
            *other != id
                && matches!(one.state, State::Stopping(_))
                && one.spec.needs.iter().any(|role| instance.spec.provides.contains(role))
        })
    }

    fn begin_end(&mut self, id: InstanceId, was_up: bool) {
        let Some(instance) = self.get(id) else { return };
        if instance.slots.contains(&Slot::Spawning) {
            // The result of the spawn is among the next inputs.
            return;
        }
        let event = Event::Stopping { instance: instance.spec.name.clone() };
        if !instance.slots.contains(&Slot::Running) {
            return self.stopped(id, false);
        }
        self.emit(event);
        if was_up {
            let work = self.begin(Work::BeforeStop { instance: id });
            return self.set_state(id, State::Stopping(Stage::Hook(work)));
        }
        self.signal_next(id);
    }

    pub(super) fn hook_done(&mut self, id: InstanceId, outcome: Outcome) {
        if let (Outcome::Failed(fault), Some(instance)) = (outcome, self.get(id)) {
            let message = format!("{} didn't stop cleanly: {}", instance.spec.name, fault.summary);
            self.warn(message);
        }
        self.signal_next(id);
    }

    /// Signals the last running process of an instance. Without one, the instance is stopped.
    fn signal_next(&mut self, id: InstanceId) {
        let now = self.now;
        let Some(instance) = self.get(id) else { return };
        let Some(slot) = instance.slots.iter().rposition(|slot| *slot == Slot::Running) else {
            return self.stopped(id, true);
        };
        let grace = instance.spec.processes.get(slot).map_or(Duration::ZERO, |process| process.grace);
        let process = ProcessId { instance: id, slot, run: instance.runs[slot] };
        if grace.is_zero() {
            return self.kill_slot(id, slot);
        }
        self.set_state(id, State::Stopping(Stage::Signalled { slot, kill_at: Some(now + grace) }));
        self.actions.push(Action::Signal(process, StopSignal::Stop));
    }

    /// Kills a process whose grace period has passed, or that has none.
    pub(super) fn kill_slot(&mut self, id: InstanceId, slot: usize) {
        let Some(instance) = self.get(id) else { return };
        let process = ProcessId { instance: id, slot, run: instance.runs.get(slot).copied().unwrap_or_default() };
        self.set_state(id, State::Stopping(Stage::Signalled { slot, kill_at: None }));
        self.actions.push(Action::Signal(process, StopSignal::Kill));
    }

    fn stopped(&mut self, id: InstanceId, had_processes: bool) {
        self.set_state(id, State::Stopped);
        self.clear_roles(id);
        if let (true, Some(instance)) = (had_processes, self.get(id)) {
            let event = Event::Stopped { instance: instance.spec.name.clone() };
            self.emit(event);
        }
    }

    /// Ends the engine once all instances have stopped.
    pub(super) fn advance_end(&mut self) {
        let Phase::Stopping(end) = &self.phase else { return };
        if self.committing.is_none() && self.instances.values().all(|one| one.is_at_rest()) {
            let end = end.clone();
            self.exit(end);
        }
    }
}
