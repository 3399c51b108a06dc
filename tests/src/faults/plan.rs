//! Plans the faults of a seed: the action, its process or command, and the moment. The plan is made
//! before anything runs, so that a seed always gives the same faults.

use fastrand::Rng;
use std::fmt;

/// The operation of a cluster during which a fault is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// `up` of a new cluster.
    Boot,
    /// No operation: the cluster runs.
    Run,
    /// `node add`.
    NodeAdd,
    /// `component replace`.
    Replace,
    /// `port add`.
    PortAdd,
    /// `stop`.
    Stop,
    /// `down`.
    Down,
}

impl Moment {
    /// The approximate duration in milliseconds: the fault is injected within it.
    fn length(self) -> u64 {
        match self {
            Self::Boot | Self::NodeAdd => 3000,
            Self::Run | Self::PortAdd => 50,
            Self::Replace => 1500,
            Self::Stop => 700,
            Self::Down => 200,
        }
    }
}

/// A fault of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT only after the cluster has noticed it.
    Hang,
    /// SIGSTOP, and SIGCONT after this many milliseconds.
    Pause(u64),
    /// No CPU time for this many milliseconds: busy processes of a higher priority run instead.
    Starve(u64),
}

/// The process of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The keeper, outside the sandbox.
    Keeper,
    /// The init, PID 1 of the sandbox.
    Init,
    /// The main process of a component.
    Component(&'static str),
    /// PID 1 of node 0.
    FirstProcess,
    /// The process that reads a container's output, such as conmon.
    Shim,
}

impl Target {
    /// All targets of a single-node cluster.
    pub const ALL: [Self; 11] = [
        Self::Keeper,
        Self::Init,
        Self::FirstProcess,
        Self::Shim,
        Self::Component("etcd"),
        Self::Component("apiserver"),
        Self::Component("controller-manager"),
        Self::Component("scheduler"),
        Self::Component("kubelet"),
        Self::Component("proxy"),
        Self::Component("crio"),
    ];
}

/// One fault of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number in the plan.
    pub number: usize,
    /// When.
    pub moment: Moment,
    /// Milliseconds after the start of the operation.
    pub after: u64,
    /// What.
    pub action: Action,
    /// To what.
    pub target: Target,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, moment, after, action, target } = self;
        write!(f, "#{number} {action:?} {target:?}, {after} ms after {moment:?} began")
    }
}

/// The faults of `count` clusters. Each has one fault at its boot, `middle` faults while it runs
/// and changes, one during `stop` and one during `down`.
pub fn lives(rng: &mut Rng, count: usize, middle: usize) -> Vec<Vec<Fault>> {
    type Of = fn(u64) -> Action;
    const ACTIONS: [Of; 6] =
        [|_| Action::Kill, |_| Action::Kill, |_| Action::Kill, |_| Action::Hang, Action::Pause, Action::Starve];
    let mut targets = Deck::new(Target::ALL.to_vec());
    let mut actions = Deck::new(ACTIONS.to_vec());
    let changes = [Moment::Run, Moment::Run, Moment::NodeAdd, Moment::Replace, Moment::PortAdd];
    let mut changes = Deck::new(changes.to_vec());
    let mut number = 0;
    let mut life = |rng: &mut Rng, index: usize| {
        // Each cluster has a fault without an operation.
        let mut moments = vec![Moment::Boot, Moment::Run];
        moments.extend((1..middle).map(|_| changes.draw(rng)));
        moments.extend([Moment::Stop, Moment::Down]);
        let fault = |(at, moment): (usize, Moment)| {
            let (mut target, mut action) = (targets.draw(rng), actions.draw(rng));
            // Only a component that hangs is noticed. `down` must also work if the cluster's own
            // processes hang.
            if at == 1 {
                action = |_| Action::Hang;
                while !matches!(target, Target::Component(_)) {
                    target = targets.draw(rng);
                }
            } else if moment == Moment::Down {
                action = |_| Action::Hang;
                target = [Target::Keeper, Target::Init][index % 2];
            }
            // There is no container before the first pod.
            if moment == Moment::Boot && target == Target::Shim {
                target = Target::Component("kubelet");
            }
            let time = rng.u64(200..1500);
            let action = match action(time) {
                // A hang during a boot or a change lasts until its time limit; a minute for each is
                // too long.
                Action::Hang if ![Moment::Run, Moment::Stop, Moment::Down].contains(&moment) => Action::Pause(time),
                action => action,
            };
            number += 1;
            // `down` is so fast that the process has to hang before it.
            let after = if moment == Moment::Down { 0 } else { rng.u64(..moment.length()) };
            Fault { number: number - 1, moment, after, action, target }
        };
        moments.into_iter().enumerate().map(fault).collect()
    };
    (0..count).map(|index| life(rng, index)).collect()
}

/// A deck of choices: each is drawn once before one is drawn again, so that a short run covers as
/// many as possible.
struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

impl<T: Clone> Deck<T> {
    fn new(all: Vec<T>) -> Self {
        Self { all, left: Vec::new() }
    }

    fn draw(&mut self, rng: &mut Rng) -> T {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
        }
        self.left.swap_remove(rng.usize(..self.left.len()))
    }
}

/// An interrupted command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupt {
    /// Its number in the plan.
    pub number: usize,
    /// The command.
    pub command: Work,
    /// Whether the signal is SIGKILL instead of SIGINT.
    pub kill: bool,
    /// Milliseconds after its start.
    pub after: u64,
}

impl fmt::Display for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = if self.kill { "SIGKILL" } else { "SIGINT" };
        write!(f, "#{} {signal} of {:?} after {} ms", self.number, self.command, self.after)
    }
}

/// A command that changes a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// `up` of a stopped cluster.
    Up,
    /// `node add`.
    NodeAdd,
    /// `node remove`.
    NodeRemove,
    /// `component replace`.
    Replace,
    /// `addon add`.
    AddonAdd,
    /// `addon remove`.
    AddonRemove,
    /// `port add`.
    PortAdd,
    /// `snapshot save`.
    Save,
    /// `stop`.
    Stop,
    /// `down`.
    Down,
}

impl Work {
    /// All after which the cluster still exists.
    const LASTING: [Self; 9] = [
        Self::Up,
        Self::NodeAdd,
        Self::NodeRemove,
        Self::Replace,
        Self::AddonAdd,
        Self::AddonRemove,
        Self::PortAdd,
        Self::Save,
        Self::Stop,
    ];

    /// Whether it is a change of a running cluster's parts.
    pub fn is_change(self) -> bool {
        use Work::{AddonAdd, AddonRemove, NodeAdd, NodeRemove, PortAdd, Replace};
        [NodeAdd, NodeRemove, Replace, AddonAdd, AddonRemove, PortAdd].contains(&self)
    }

    /// The approximate duration in milliseconds.
    fn length(self) -> u64 {
        match self {
            Self::Up | Self::NodeAdd => 3000,
            Self::NodeRemove | Self::Replace => 1500,
            Self::AddonAdd | Self::AddonRemove | Self::Save | Self::Stop => 700,
            Self::PortAdd => 40,
            Self::Down => 200,
        }
    }
}

/// Plans the interrupted commands of a cluster. The last one is `down`. Each command comes once
/// before one comes again.
pub fn interrupts(rng: &mut Rng, first: usize, count: usize) -> Vec<Interrupt> {
    let mut all = Vec::new();
    while all.len() < count {
        let mut round = Work::LASTING;
        rng.shuffle(&mut round);
        all.extend(round);
    }
    all.truncate(count);
    all.push(Work::Down);
    let one = |(at, command): (usize, Work)| {
        let (kill, after) = (rng.bool(), rng.u64(..command.length()));
        Interrupt { number: first + at, command, kill, after }
    };
    all.into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_seed_always_gives_the_same_plan() {
        let plan = |seed| lives(&mut Rng::with_seed(seed), 2, 6);
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        let numbers: Vec<usize> = plan(1).iter().flatten().map(|fault| fault.number).collect();
        assert_eq!(numbers, (0..18).collect::<Vec<_>>());
        let interrupted = |seed| interrupts(&mut Rng::with_seed(seed), 0, 9);
        assert_eq!(interrupted(1), interrupted(1));
        assert_ne!(interrupted(1), interrupted(2));
    }

    #[test]
    fn a_plan_of_a_cluster_starts_with_boot_and_ends_with_down() {
        for seed in 0..100 {
            for plan in lives(&mut Rng::with_seed(seed), 2, 4) {
                let moments: Vec<Moment> = plan.iter().map(|fault| fault.moment).collect();
                assert_eq!((moments[0], &moments[5..]), (Moment::Boot, &[Moment::Stop, Moment::Down][..]));
                assert!(!moments[1..5].iter().any(|m| [Moment::Boot, Moment::Stop, Moment::Down].contains(m)));
                assert!(plan[0].target != Target::Shim && plan[0].action != Action::Hang);
            }
        }
    }

    #[test]
    fn a_short_run_has_hangs_and_a_long_one_all_targets() {
        for seed in 0..20 {
            let plans: Vec<Fault> = lives(&mut Rng::with_seed(seed), 2, 4).into_iter().flatten().collect();
            let hangs = |moment| plans.iter().find(|fault| fault.moment == moment && fault.action == Action::Hang);
            assert!(hangs(Moment::Run).is_some_and(|fault| matches!(fault.target, Target::Component(_))), "{plans:?}");
            assert!(hangs(Moment::Down).is_some_and(|fault| fault.target == Target::Keeper), "{plans:?}");
            let plans: Vec<Fault> = lives(&mut Rng::with_seed(seed), 12, 8).into_iter().flatten().collect();
            let moments: HashSet<Moment> = plans.iter().map(|fault| fault.moment).collect();
            assert_eq!(moments.len(), 7);
            for target in Target::ALL {
                assert!(plans.iter().any(|fault| fault.target == target), "{target:?} in {plans:?}");
            }
        }
        let commands = interrupts(&mut Rng::with_seed(1), 0, 9);
        assert_eq!(commands.iter().map(|one| one.command).collect::<HashSet<Work>>().len(), 10);
    }
}
