//! The faults of a seed: what is done, to which process or command, at which moment. Known before
//! anything runs, so that the same seed plays the same faults.

use fastrand::Rng;
use std::fmt;

/// What a cluster does when the fault comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// `up` of a new cluster.
    Boot,
    /// Nothing but its work.
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
    /// About how long it takes, in milliseconds: a fault comes within it.
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

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT only after it was noticed.
    Hang,
    /// SIGSTOP, and SIGCONT after so many milliseconds.
    Pause(u64),
    /// So many milliseconds without a processor: others that are never idle come first.
    Starve(u64),
}

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The process outside of the sandbox.
    Keeper,
    /// The sandbox's PID 1.
    Init,
    /// A component's.
    Component(&'static str),
    /// The first process of node 0.
    FirstProcess,
    /// The process beside a container that holds its output.
    Shim,
}

impl Target {
    /// All of a cluster of one node.
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
    /// How long after the beginning of that, in milliseconds.
    pub after: u64,
    /// What.
    pub deed: Deed,
    /// To what.
    pub target: Target,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, moment, after, deed, target } = self;
        write!(f, "#{number} {deed:?} {target:?}, {after} ms after {moment:?} began")
    }
}

/// The faults of several clusters' lives: each with one at its boot, `middle` while it runs and
/// changes, one while it stops and one while it goes down.
pub fn lives(rng: &mut Rng, count: usize, middle: usize) -> Vec<Vec<Fault>> {
    type Of = fn(u64) -> Deed;
    const DEEDS: [Of; 6] = [|_| Deed::Kill, |_| Deed::Kill, |_| Deed::Kill, |_| Deed::Hang, Deed::Pause, Deed::Starve];
    let mut targets = Deck::new(Target::ALL.to_vec());
    let mut deeds = Deck::new(DEEDS.to_vec());
    let changes = [Moment::Run, Moment::Run, Moment::NodeAdd, Moment::Replace, Moment::PortAdd];
    let mut changes = Deck::new(changes.to_vec());
    let mut number = 0;
    let mut life = |rng: &mut Rng, index: usize| {
        // Each life has a moment in which nothing but the fault happens.
        let mut moments = vec![Moment::Boot, Moment::Run];
        moments.extend((1..middle).map(|_| changes.draw(rng)));
        moments.extend([Moment::Stop, Moment::Down]);
        let fault = |(at, moment): (usize, Moment)| {
            let (mut target, mut deed) = (targets.draw(rng), deeds.draw(rng));
            // What hangs must be noticed, which only a component is; and `down` must work although
            // its own processes hang.
            if at == 1 {
                deed = |_| Deed::Hang;
                while !matches!(target, Target::Component(_)) {
                    target = targets.draw(rng);
                }
            } else if moment == Moment::Down {
                deed = |_| Deed::Hang;
                target = [Target::Keeper, Target::Init][index % 2];
            }
            // There is no container before there is a pod.
            if moment == Moment::Boot && target == Target::Shim {
                target = Target::Component("kubelet");
            }
            let time = rng.u64(200..1500);
            let deed = match deed(time) {
                // What hangs for good in the midst of a boot or a change ends with its time limit;
                // a minute for each is too long.
                Deed::Hang if ![Moment::Run, Moment::Stop, Moment::Down].contains(&moment) => Deed::Pause(time),
                deed => deed,
            };
            number += 1;
            // `down` takes so little time that a process has to hang before.
            let after = if moment == Moment::Down { 0 } else { rng.u64(..moment.length()) };
            Fault { number: number - 1, moment, after, deed, target }
        };
        moments.into_iter().enumerate().map(fault).collect()
    };
    (0..count).map(|index| life(rng, index)).collect()
}

/// Choices that all come once before one comes again, so that a short run is no less various than
/// it can be.
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

/// How a command is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupt {
    /// Its number in the plan.
    pub number: usize,
    /// The command.
    pub command: Work,
    /// By SIGKILL; else by SIGINT.
    pub kill: bool,
    /// How long after its beginning, in milliseconds.
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
    /// All that leave a cluster.
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

    /// Whether it changes what a cluster is made of.
    pub fn is_change(self) -> bool {
        use Work::{AddonAdd, AddonRemove, NodeAdd, NodeRemove, PortAdd, Replace};
        [NodeAdd, NodeRemove, Replace, AddonAdd, AddonRemove, PortAdd].contains(&self)
    }

    /// About how long it takes, in milliseconds.
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

/// Commands that are interrupted, of one cluster, the last one `down`. No command comes a second
/// time before all came once.
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
    fn a_seed_is_a_plan() {
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
    fn a_life_goes_from_boot_to_down() {
        for seed in 0..100 {
            for plan in lives(&mut Rng::with_seed(seed), 2, 4) {
                let moments: Vec<Moment> = plan.iter().map(|fault| fault.moment).collect();
                assert_eq!((moments[0], &moments[5..]), (Moment::Boot, &[Moment::Stop, Moment::Down][..]));
                assert!(!moments[1..5].iter().any(|m| [Moment::Boot, Moment::Stop, Moment::Down].contains(m)));
                assert!(plan[0].target != Target::Shim && plan[0].deed != Deed::Hang);
            }
        }
    }

    #[test]
    fn a_short_run_has_what_hangs_and_a_long_one_has_all() {
        for seed in 0..20 {
            let plans: Vec<Fault> = lives(&mut Rng::with_seed(seed), 2, 4).into_iter().flatten().collect();
            let hangs = |moment| plans.iter().find(|fault| fault.moment == moment && fault.deed == Deed::Hang);
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
