//! Random histories, and how a failing one is shrunk.

use super::cluster;
use crate::engine::reducer::InstanceSpec;
use fastrand::Rng;

/// An incident at a time in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub at: u64,
    pub incident: Incident,
}

impl Step {
    pub(super) fn at(self, at: u64) -> Self {
        Self { at, ..self }
    }
}

/// An external event. Numbers select one of the existing processes, nodes or requests.
#[derive(Debug, Clone, Copy)]
pub(super) enum Incident {
    Crash(usize),
    /// A process hangs until `Resume`.
    Hang(usize),
    Resume,
    EndNode(usize),
    /// A change of the committed state or of an older one. `plan` is the seed of its plan.
    Change {
        plan: u64,
        stale: bool,
    },
    Exclusive,
    Copy,
    Report {
        check: bool,
    },
    /// Cancels a request: the last one, or one before it.
    Cancel(usize),
    AbortBoot,
    KillBoot,
    StopRequest,
    Stop,
    Kill,
    KeeperGone,
}

/// A period in which work fails or is slow at random.
#[derive(Debug, Clone, Copy)]
pub(super) struct FaultPeriod {
    pub from: u64,
    pub until: u64,
    /// The probability, in thousandths.
    pub rate: u64,
}

#[derive(Debug, Clone)]
pub(super) struct History {
    pub seed: u64,
    pub instances: Vec<InstanceSpec>,
    pub faults: FaultPeriod,
    pub steps: Vec<Step>,
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let instances = cluster::random(&mut rng);
        // Most clusters boot without faults, so that most incidents happen to a running cluster.
        let from = if rng.u8(..5) == 0 { 0 } else { 5_000 };
        let until = from + rng.u64(1_000..40_000);
        let rate = [0, 20, 100, 300][rng.usize(..4)];
        let mut at = if from == 0 { 0 } else { rng.u64(0..5_000) };
        let steps = (0..rng.usize(0..12)).map(|_| {
            at += if rng.bool() { rng.u64(0..500) } else { rng.u64(0..8_000) };
            Step { at, incident: random_step(&mut rng) }
        });
        let steps = steps.collect();
        Self { seed, instances, faults: FaultPeriod { from, until, rate }, steps }
    }

    /// The time from which nothing fails any more.
    pub(super) fn healthy_from(&self) -> u64 {
        self.steps.iter().map(|step| step.at).max().unwrap_or_default().max(self.faults.until)
    }
}

fn random_step(rng: &mut Rng) -> Incident {
    let pick = rng.usize(..64);
    match rng.u8(..100) {
        0..20 => Incident::Crash(pick),
        20..27 => Incident::Hang(pick),
        27..31 => Incident::Resume,
        31..36 => Incident::EndNode(pick),
        36..62 => Incident::Change { plan: rng.u64(..), stale: rng.u8(..10) == 0 },
        62..69 => Incident::Exclusive,
        69..73 => Incident::Copy,
        73..81 => Incident::Report { check: rng.bool() },
        81..92 => Incident::Cancel(rng.usize(..3)),
        92 => Incident::AbortBoot,
        93 => Incident::KillBoot,
        94..96 => Incident::StopRequest,
        96..98 => Incident::Stop,
        98 => Incident::Kill,
        _ => Incident::KeeperGone,
    }
}

/// Shrinks steps that break an invariant: drops parts of them, first halves and finally single
/// steps, as long as the rest still breaks it.
pub(super) fn shrink(steps: &[Step], breaks: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut left = steps.to_vec();
    let mut size = left.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let before = left.len();
        while start < left.len() {
            let end = (start + size).min(left.len());
            let without: Vec<Step> = left[..start].iter().chain(&left[end..]).cloned().collect();
            if breaks(&without) {
                left = without;
            } else {
                start = end;
            }
        }
        if size == 1 && left.len() == before {
            return left;
        }
        size = if size > 1 { size.div_ceil(2) } else { 1 };
    }
}
