//! One instance: its state and the permitted transitions.

use super::spec::InstanceSpec;
use super::types::{Time, WorkId};
use crate::engine::InstanceState;
use std::collections::BTreeMap;
use std::time::Duration;

/// The first delay before a restart. Each further delay is twice as long.
pub(super) const MIN_BACKOFF: Duration = Duration::from_secs(1);
/// The longest delay.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// An instance that was ready for so long starts again with the first delay.
pub(super) const BACKOFF_RESET: Duration = Duration::from_secs(60);
/// So many consecutive failures are reported as a failure of the instance.
pub(super) const MAX_FAILURES: u32 = 5;

/// The delay that follows a delay.
pub(super) fn next_backoff(backoff: Duration) -> Duration {
    (backoff * 2).min(MAX_BACKOFF)
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its node is switched off.
    Off,
    /// A role that it waits for isn't ready, or its node isn't created.
    Waiting,
    /// Its files are being written.
    Preparing(WorkId),
    /// Its processes run, but its probes haven't passed yet.
    Starting,
    Ready,
    /// Its processes run, but a probe that passed before fails.
    Unresponsive,
    /// A start failed or a process exited. The next attempt is at this time.
    BackingOff {
        at: Time,
    },
    /// A process that must not be restarted has failed.
    Failed,
    Stopping(Stage),
    Stopped,
}

/// The stage of stopping an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for the end of the instances that need it.
    Dependents { was_up: bool },
    /// Its component's `before_stop` runs.
    Hook(WorkId),
    /// The process of this slot got its stop signal, and gets SIGKILL at this time.
    Signalled { slot: usize, kill_at: Option<Time> },
}

impl State {
    /// Whether this transition is permitted.
    pub(super) fn may_become(self, next: Self) -> bool {
        use State::{BackingOff, Failed, Off, Preparing, Ready, Starting, Stopped, Stopping, Unresponsive, Waiting};
        match (self, next) {
            (Off | Stopped, Stopped) | (Stopped, Waiting) => true,
            (Off | Stopped, _) => false,
            (Stopping(_), Stopping(_) | Stopped) => true,
            (Stopping(_), _) => false,
            (_, Stopping(_)) => true,
            (Waiting, Preparing(_)) | (Waiting, Stopped) => true,
            (Preparing(_), Starting | BackingOff { .. } | Failed) => true,
            (Starting, Ready | BackingOff { .. } | Failed) => true,
            (Ready, Unresponsive | BackingOff { .. } | Failed) => true,
            (Unresponsive, Ready | BackingOff { .. } | Failed) => true,
            (BackingOff { .. }, BackingOff { .. } | Preparing(_) | Failed) => true,
            (Failed, Failed) => true,
            _ => false,
        }
    }
}

/// One process of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Idle,
    Spawning,
    Running,
    /// It exited with success, and isn't started again.
    Finished,
}

/// The liveness checks of one process, if its plan has any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checks {
    /// The running check.
    pub work: Option<WorkId>,
    /// The time of the next check.
    pub next: Time,
    /// The number of consecutive failures.
    pub failed: u32,
    /// It failed too often: the process got its stop signal, and gets SIGKILL at `kill_at`.
    pub terminating: bool,
    pub kill_at: Option<Time>,
}

/// The state of an instance's images and objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provision {
    /// The images are loaded next, then the objects are applied.
    Images {
        objects: bool,
    },
    LoadingImages {
        work: WorkId,
        objects: bool,
    },
    Objects,
    Applying(WorkId),
    /// It failed. The next attempt is at this time.
    Retry {
        at: Time,
        images: bool,
        objects: bool,
    },
    Done,
}

impl Provision {
    /// The running work.
    pub(super) fn work(self) -> Option<WorkId> {
        match self {
            Self::LoadingImages { work, .. } | Self::Applying(work) => Some(work),
            _ => None,
        }
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub spec: InstanceSpec,
    pub state: State,
    pub slots: Vec<Slot>,
    /// The number of starts of each slot.
    pub runs: Vec<u32>,
    /// The checks of each slot.
    pub checks: Vec<Checks>,
    /// The endpoints whose probes are running.
    pub probing: BTreeMap<WorkId, usize>,
    /// The running check of its probes.
    pub check: Option<WorkId>,
    pub next_check: Time,
    /// The number of consecutive failed checks.
    pub missed: u32,
    pub provision: Provision,
    pub provision_backoff: Duration,
    pub restarts: u32,
    /// The number of consecutive failed starts.
    pub failures: u32,
    pub backoff: Duration,
    /// When it became ready for the last time.
    pub ready_at: Option<Time>,
    /// Its processes were started at least once.
    pub was_started: bool,
    /// The reason why it isn't ready, if it is more than its state.
    pub reason: Option<String>,
}

impl Instance {
    pub(super) fn new(spec: InstanceSpec) -> Self {
        let count = spec.processes.len();
        let state = if spec.off { State::Off } else { State::Waiting };
        Self {
            state,
            slots: vec![Slot::Idle; count],
            runs: vec![0; count],
            checks: vec![Checks::default(); count],
            probing: BTreeMap::new(),
            check: None,
            next_check: Time::default(),
            missed: 0,
            provision: Provision::Images { objects: true },
            provision_backoff: MIN_BACKOFF,
            restarts: 0,
            failures: 0,
            backoff: MIN_BACKOFF,
            ready_at: None,
            was_started: false,
            reason: None,
            spec,
        }
    }

    /// The state to show.
    pub(super) fn public_state(&self) -> InstanceState {
        match self.state {
            State::Off | State::Stopped => InstanceState::Stopped,
            _ if self.failures >= MAX_FAILURES && !self.is_ending() => InstanceState::Failed,
            State::Preparing(_) if !self.was_started && self.slots.contains(&Slot::Running) => InstanceState::Starting,
            State::Waiting | State::Preparing(_) if !self.was_started => InstanceState::Waiting,
            State::Starting if !self.was_ready() && self.restarts == 0 => InstanceState::Starting,
            State::Ready => InstanceState::Ready,
            State::Unresponsive => InstanceState::Unresponsive,
            State::Failed => InstanceState::Failed,
            State::Stopping(_) => InstanceState::Stopping,
            State::Waiting | State::Preparing(_) | State::Starting | State::BackingOff { .. } => {
                InstanceState::Restarting
            }
        }
    }

    fn was_ready(&self) -> bool {
        self.ready_at.is_some()
    }

    /// Whether it is stopping, stopped or switched off. Its processes aren't restarted.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state, State::Stopping(_) | State::Stopped | State::Off)
    }

    /// Whether none of its processes runs or is going to be started.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Off | State::Stopped)
    }

    /// Whether a one-shot process hasn't exited with success yet.
    pub(super) fn has_open_one_shot(&self) -> bool {
        let mut slots = self.slots.iter().zip(&self.spec.processes);
        slots.any(|(slot, process)| process.one_shot && *slot != Slot::Finished)
    }

    /// Returns the delay before the next start, and doubles it for the one after.
    pub(super) fn take_backoff(&mut self) -> Duration {
        let backoff = self.backoff;
        self.backoff = next_backoff(backoff);
        backoff
    }

    /// Resets the delay if it was ready for long enough.
    pub(super) fn reset_backoff(&mut self, now: Time) {
        if self.ready_at.is_some_and(|at| now.since(at) > BACKOFF_RESET) {
            self.failures = 0;
            self.backoff = MIN_BACKOFF;
        }
    }

    /// Prepares it for another start, after the rollback of a change that stopped it.
    pub(super) fn reset(&mut self) {
        let (runs, spec) = (std::mem::take(&mut self.runs), self.spec.clone());
        *self = Self { runs, ..Self::new(spec) };
    }
}
