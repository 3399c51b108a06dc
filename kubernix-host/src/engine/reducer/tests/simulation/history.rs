//! What happens in a history, and how one that breaks an invariant is made shorter.

use super::cluster;
use crate::engine::reducer::InstanceSpec;
use fastrand::Rng;

/// Something that comes from outside, at a moment in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub at: u64,
    pub what: What,
}

impl Step {
    pub(super) fn at(self, at: u64) -> Self {
        Self { at, ..self }
    }
}

/// Numbers pick one of what there is at that moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Crash(usize),
    /// A process stands still until something lets it go on.
    Hang(usize),
    Resume,
    EndNode(usize),
    /// A change from the state on disk, or from an older one. `plan` decides what it consists of.
    Change {
        plan: u64,
        stale: bool,
    },
    Exclusive,
    Copy,
    Report {
        check: bool,
    },
    /// A command is interrupted, or lost: the request that is so many before the last is cancelled.
    Cancel(usize),
    Abandon,
    KillBoot,
    StopRequest,
    Stop,
    Kill,
    KeeperGone,
}

/// When, and how often, things fail or take long by themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sick {
    pub from: u64,
    pub until: u64,
    /// In a thousand.
    pub rate: u64,
}

#[derive(Debug, Clone)]
pub(super) struct History {
    pub seed: u64,
    pub instances: Vec<InstanceSpec>,
    pub sick: Sick,
    pub steps: Vec<Step>,
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let instances = cluster::random(&mut rng);
        // Most clusters boot, so that most of what happens meets one that runs.
        let from = if rng.u8(..5) == 0 { 0 } else { 5_000 };
        let until = from + rng.u64(1_000..40_000);
        let rate = [0, 20, 100, 300][rng.usize(..4)];
        let mut at = if from == 0 { 0 } else { rng.u64(0..5_000) };
        let steps = (0..rng.usize(0..12)).map(|_| {
            at += if rng.bool() { rng.u64(0..500) } else { rng.u64(0..8_000) };
            Step { at, what: random_step(&mut rng) }
        });
        let steps = steps.collect();
        Self { seed, instances, sick: Sick { from, until, rate }, steps }
    }

    /// From here on nothing fails any more.
    pub(super) fn healthy_from(&self) -> u64 {
        self.steps.iter().map(|step| step.at).max().unwrap_or_default().max(self.sick.until)
    }
}

fn random_step(rng: &mut Rng) -> What {
    let pick = rng.usize(..64);
    match rng.u8(..100) {
        0..20 => What::Crash(pick),
        20..27 => What::Hang(pick),
        27..31 => What::Resume,
        31..36 => What::EndNode(pick),
        36..62 => What::Change { plan: rng.u64(..), stale: rng.u8(..10) == 0 },
        62..69 => What::Exclusive,
        69..73 => What::Copy,
        73..81 => What::Report { check: rng.bool() },
        81..92 => What::Cancel(rng.usize(..3)),
        92 => What::Abandon,
        93 => What::KillBoot,
        94..96 => What::StopRequest,
        96..98 => What::Stop,
        98 => What::Kill,
        _ => What::KeeperGone,
    }
}

/// The shortest list that this finds of those that still break something: drops parts, halves at
/// first and single steps at last, as long as that helps.
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
