//! What goes into the reducer and what comes out of it, as plain data.

use crate::control::Reply;
use crate::events::Event;
use crate::graph::RoleAt;
use kubernix_core::Restart;
use std::ops::Add;
use std::time::Duration;

/// A moment: milliseconds since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub u64);

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Time {
    /// How long it has been since an earlier moment.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// One planned instance in one set of instances. A change gives new ones to what it starts anew, so
/// that a late result of an old instance is never taken for one of its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u32);

/// One run of one process of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    pub instance: InstanceId,
    /// Its place among the processes of the instance's plan.
    pub slot: usize,
    /// Counts the starts of this slot.
    pub run: u32,
}

/// A piece of work outside of the reducer that is answered by exactly one [`Input::Done`], unless
/// it is abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId(pub u64);

/// A request of a command. Each gets exactly one [`Action::Reply`] or [`Action::Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why something didn't work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In one line.
    pub summary: String,
    /// The same with all causes and the end of the log.
    pub detail: String,
    /// It might have worked later.
    pub late: bool,
    /// The host was short of something for a moment (EAGAIN, ETXTBSY, ENOMEM, EMFILE): worth
    /// another attempt even while a boot waits for it.
    pub transient: bool,
}

impl Fault {
    /// A fault that has no more to say than this.
    pub fn new(text: impl Into<String>) -> Self {
        let detail = text.into();
        let summary = detail.lines().next().unwrap_or_default().to_owned();
        Self { summary, detail, late: false, transient: false }
    }

    /// The same, which might have worked later.
    pub fn late(text: impl Into<String>) -> Self {
        Self { late: true, ..Self::new(text) }
    }
}

/// A process of an instance, as far as the rules depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    pub name: String,
    pub restart: Restart,
    /// Between its stop signal and SIGKILL; zero kills at once.
    pub grace: Duration,
    /// It has to end with success before the next processes start.
    pub one_shot: bool,
    /// Between two checks of a running process, and how many failed ones in a row restart it.
    pub liveness: Option<(Duration, u32)>,
}

/// A planned instance, as far as the rules depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    /// What people read: `CRI-O (node 0)`.
    pub name: String,
    /// Its node is switched off: nothing of it runs.
    pub off: bool,
    /// `up` returns without waiting for it.
    pub later: bool,
    /// The node that has to be made before it can start; `None` where it runs in the sandbox.
    pub own_node: Option<String>,
    /// Roles that have to be ready before it starts.
    pub waits: Vec<RoleAt>,
    /// All roles that it uses: their instances stop after it.
    pub needs: Vec<RoleAt>,
    /// The roles of its endpoints, in the order of its plan.
    pub provides: Vec<RoleAt>,
    pub processes: Vec<ProcessSpec>,
    /// Its images are built here and imported.
    pub has_builds: bool,
    /// It has objects for the Kubernetes API.
    pub has_manifests: bool,
}

/// Work that takes its time. It is performed outside and belongs to the state that began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Makes a node's namespaces, after clearing what an earlier life of it left.
    MakeNode { node: String },
    /// Ends a node with all that is on it.
    EndNode { node: String },
    /// Writes an instance's files, and at its first start applies the objects that have to be there
    /// before its processes.
    Prepare { instance: InstanceId, first: bool, until: Option<Time> },
    /// Asks a probe until it passes; without a limit for as long as it takes.
    Probe { instance: InstanceId, endpoint: usize, until: Option<Time> },
    /// Asks all probes of a ready instance once.
    Check { instance: InstanceId },
    /// Asks the liveness probe of a process once.
    CheckProcess { process: ProcessId },
    /// Runs the component's `before_stop`.
    BeforeStop { instance: InstanceId },
    /// Builds an instance's images and imports them where they are missing.
    LoadImages { instance: InstanceId },
    /// Applies an instance's objects.
    Apply { instance: InstanceId, until: Option<Time> },
    /// Sees that every node has the pause image.
    PauseImage,
    /// Makes the default service account.
    DefaultNamespace { until: Option<Time> },
    /// Deletes objects that no instance wants any more.
    Prune,
    /// Plans a requested change. Answered by [`Outcome::Planned`].
    Plan { request: RequestId },
    /// Moves the pods of nodes elsewhere.
    Drain { nodes: Vec<String> },
    /// Lets nodes take pods again.
    Uncordon { nodes: Vec<String> },
    /// Tells Kubernetes which nodes are out of service and which are back.
    Service { off: Vec<String>, on: Vec<String> },
    /// Writes the state that a change leads to, durably and by one rename, and deletes what no
    /// instance wants any more.
    Commit { request: RequestId },
    /// Takes back what a change that broke off with an earlier life of the cluster told Kubernetes
    /// of nodes that run.
    SettleNodes,
    /// Performs a request that changes something beside the instances: ports, a copy, a name.
    /// Answered by [`Outcome::Answered`] or [`Outcome::Committed`].
    Perform { request: RequestId },
}

/// How a process is to be signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// The signal that its plan names.
    Stop,
    /// SIGKILL, to its whole group.
    Kill,
}

/// What a planned change consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangePlan {
    /// Instances that end.
    pub goes: Vec<InstanceId>,
    /// Instances that start.
    pub comes: Vec<(InstanceId, InstanceSpec)>,
    /// All instances after the change, in boot order.
    pub order: Vec<InstanceId>,
    /// Nodes whose pods move elsewhere first.
    pub drain: Vec<String>,
    /// Nodes that Kubernetes is told of: out of service after the change, and before it.
    pub off: Vec<String>,
    pub off_before: Vec<String>,
    /// Nodes that Kubernetes is told of: in service after the change, and before it.
    pub on: Vec<String>,
    pub on_before: Vec<String>,
    /// How long its instances may take to become ready.
    pub limit: Duration,
}

impl ChangePlan {
    /// The IDs of the instances that start.
    pub fn coming(&self) -> impl Iterator<Item = InstanceId> {
        self.comes.iter().map(|(id, _)| *id)
    }
}

/// How a piece of work ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    Ok,
    Failed(Fault),
    Planned(Box<ChangePlan>),
    Answered(Box<Reply>),
    /// Answered, and the state in force is the next one.
    Committed(Box<Reply>),
}

/// What a command asks for, as far as the rules depend on it. The rest of a request stays outside,
/// under its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Another set of instances. `base` is the revision that it was made from.
    Change { base: u64 },
    /// Something that must not happen beside a change.
    Exclusive,
    /// A copy of what the instances of a role wrote, whose processes stand still meanwhile.
    Copy,
    /// The state of all instances; `check` asks their probes first.
    Report { check: bool },
    /// The end of everything, in order.
    Stop,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time went by.
    Tick,
    Spawned(ProcessId),
    SpawnFailed(ProcessId, Fault),
    /// A process ended. `status` reads like `exit status 1`; `log` is the end of its log, as part
    /// of a message.
    Ended {
        process: ProcessId,
        status: String,
        success: bool,
        log: String,
    },
    Done(WorkId, Outcome),
    /// The first process of a node ended, and with it all that was on the node.
    NodeEnded(String),
    Request(RequestId, RequestKind),
    /// The command that asked for a change wants it undone.
    Cancel(RequestId),
    /// The command that boots was interrupted or went away.
    Abandon,
    /// The command that boots was interrupted twice.
    KillBoot,
    /// The keeper was asked to end the cluster in order.
    Stop,
    /// Everything has to end at once.
    Kill,
    KeeperGone,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The change is committed.
    Changed,
    /// The change came to nothing.
    ChangeFailed { error: String, restored: bool },
    /// The change was not begun.
    Refused(String),
    /// The change was not begun: the state is another one than that which it was made from.
    Stale,
    /// Any other answer.
    Reply(Box<Reply>),
}

/// How the engine's life ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By an order.
    Ordered,
    /// The keeper went away: its work is to be done as well.
    KeeperGone,
    /// The boot came to nothing.
    BootFailed { error: String, timed_out: bool },
}

/// What is to be done outside.
#[derive(Debug, Clone)]
pub enum Action {
    Begin(WorkId, Work),
    /// Ends work whose result nothing waits for any more.
    Abandon(WorkId),
    Spawn(ProcessId),
    Signal(ProcessId, StopSignal),
    /// A role became ready, or isn't any more.
    Role(RoleAt, bool),
    /// These are the instances from now on, in boot order.
    Order(Vec<InstanceId>),
    /// A boot or change begins to start instances: what was reported earlier doesn't count.
    Bring,
    /// An instance's processes were started, or it is ready: others may have the CPU first.
    Yield(InstanceId),
    /// The boot or change is over: all run with the same priority.
    EndYield,
    /// What the change leads to is in force for all that is begun from here on.
    Adopt(RequestId),
    /// What was in force before the change is so again.
    Restore,
    Emit(Event),
    /// From now on the command that made this request is told of events.
    Watch(RequestId),
    /// The command that boots needs to know nothing more.
    Booted,
    Reply(RequestId, Answer),
    Report(RequestId),
    /// Notes what ends the cluster, for commands that look at it meanwhile.
    NoteEnd(EndedBy),
    Exit(End),
}

/// What ends the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// A failed or interrupted boot.
    Boot,
    /// An order to stop.
    Stop,
}
