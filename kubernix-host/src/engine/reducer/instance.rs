//! One instance: its state, and the transitions that are allowed.

use super::types::{InstanceSpec, Time, WorkId};
use crate::engine::InstanceState;
use std::collections::BTreeMap;
use std::time::Duration;

/// The first pause before another start; each further one doubles it.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After this long in the state `Ready` earlier failures are forgotten.
pub(super) const STEADY: Duration = Duration::from_secs(60);
/// This many failures in a row are reported as a failure of the instance.
pub(super) const FAILURES: u32 = 5;

/// The pause that follows a pause.
pub(super) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its node is switched off.
    Off,
    /// Some role that it waits for, or its node, isn't there yet.
    Waiting,
    /// Its files are written.
    Preparing(WorkId),
    /// Its processes run, its probes haven't passed yet.
    Starting,
    Ready,
    /// Its processes run, and a probe that had passed doesn't pass any more.
    Unresponsive,
    /// A start failed or a process ended; the next attempt is at this time.
    BackingOff {
        at: Time,
    },
    /// A process that isn't to be restarted ended with a failure.
    Failed,
    Stopping(Stage),
    Stopped,
}

/// How far the end of an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Instances that need it end first.
    Dependents { was_up: bool },
    /// Its component's `before_stop` runs.
    Hook(WorkId),
    /// The process of this slot was signalled, and is killed at that time.
    Signalled { slot: usize, kill_at: Option<Time> },
}

impl State {
    /// Whether an instance may go from this state to that one.
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
    /// It did what it had to do, and isn't started again.
    Finished,
}

/// The checks of one process, if its plan has any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checks {
    /// The check that is going on.
    pub work: Option<WorkId>,
    /// When the next one is due.
    pub next: Time,
    /// Checks that failed in a row.
    pub failed: u32,
    /// It failed too often: it was asked to end, and is killed at `kill_at`.
    pub ends: bool,
    pub kill_at: Option<Time>,
}

/// How far an instance's images and objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Furnish {
    /// Images first, then objects.
    Images {
        objects: bool,
    },
    LoadingImages {
        work: WorkId,
        objects: bool,
    },
    Objects,
    Applying(WorkId),
    /// Another attempt at that time.
    Again {
        at: Time,
        images: bool,
        objects: bool,
    },
    Done,
}

impl Furnish {
    /// The work that is going on for it.
    pub(super) fn work(self) -> Option<WorkId> {
        match self {
            Self::LoadingImages { work, .. } | Self::Applying(work) => Some(work),
            _ => None,
        }
    }
}

/// One instance while the cluster lives.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub spec: InstanceSpec,
    pub state: State,
    pub slots: Vec<Slot>,
    /// How often each slot was started.
    pub runs: Vec<u32>,
    /// The checks of each slot.
    pub checks: Vec<Checks>,
    /// Probes that are being asked, by their work, with their endpoint.
    pub probing: BTreeMap<WorkId, usize>,
    /// The question whether it still responds.
    pub check: Option<WorkId>,
    pub next_check: Time,
    /// Checks that failed in a row.
    pub missed: u32,
    pub furnish: Furnish,
    pub furnish_pause: Duration,
    pub restarts: u32,
    /// Starts that failed in a row.
    pub failures: u32,
    pub pause: Duration,
    /// When it became ready.
    pub ready_at: Option<Time>,
    /// Its processes were started at least once.
    pub was_started: bool,
    /// Why it isn't ready, if there is more to say than its state.
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
            furnish: Furnish::Images { objects: true },
            furnish_pause: FIRST_PAUSE,
            restarts: 0,
            failures: 0,
            pause: FIRST_PAUSE,
            ready_at: None,
            was_started: false,
            reason: None,
            spec,
        }
    }

    /// The state as it is shown.
    pub(super) fn shown(&self) -> InstanceState {
        match self.state {
            State::Off | State::Stopped => InstanceState::Stopped,
            _ if self.failures >= FAILURES && !self.is_ending() => InstanceState::Failed,
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

    /// Its end was ordered: processes that end now aren't started again.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state, State::Stopping(_) | State::Stopped | State::Off)
    }

    /// Whether nothing of it runs and nothing is to run.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Off | State::Stopped)
    }

    /// Whether a process runs once and hasn't ended with success yet.
    pub(super) fn has_open_one_shot(&self) -> bool {
        let mut slots = self.slots.iter().zip(&self.spec.processes);
        slots.any(|(slot, process)| process.one_shot && *slot != Slot::Finished)
    }

    /// Doubles the pause; returns what it was.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = longer(pause);
        pause
    }

    /// Forgets failures if it was ready for long enough.
    pub(super) fn forgive(&mut self, now: Time) {
        if self.ready_at.is_some_and(|at| now.since(at) > STEADY) {
            self.failures = 0;
            self.pause = FIRST_PAUSE;
        }
    }

    /// As new, after a change that was to replace it came to nothing.
    pub(super) fn reset(&mut self) {
        let (runs, spec) = (std::mem::take(&mut self.runs), self.spec.clone());
        *self = Self { runs, ..Self::new(spec) };
    }
}
