//! The inputs and actions of the reducer, as plain data.

use super::spec::ChangePlan;
use crate::control::Reply;
use crate::events::Event;
use crate::graph::RoleAt;
use std::ops::Add;
use std::time::Duration;

/// A time, in milliseconds since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub u64);

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Time {
    /// The duration since an earlier time.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The ID of a planned instance. A change gives a new ID to each instance that it starts, so that a
/// late result of an old instance can't be mistaken for one of its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u32);

/// One run of one process of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    pub instance: InstanceId,
    /// The index among the processes of the instance's plan.
    pub slot: usize,
    /// Counts the starts of this slot.
    pub run: u32,
}

/// The ID of work outside of the reducer. Each gets exactly one [`Input::Done`], unless it is
/// abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId(pub u64);

/// The ID of a command's request. Each gets exactly one [`Action::Reply`] or [`Action::Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A failure of work, in the form that the reducer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In one line.
    pub summary: String,
    /// The same with all causes and the end of the log.
    pub detail: String,
    /// It ran into a time limit.
    pub timed_out: bool,
    /// A temporary shortage of the host's resources (EAGAIN, ETXTBSY, ENOMEM, EMFILE). It is
    /// retried even if a boot waits for it.
    pub transient: bool,
}

impl Fault {
    /// A permanent fault. The first line of the text is the summary.
    pub fn new(text: impl Into<String>) -> Self {
        let detail = text.into();
        let summary = detail.lines().next().unwrap_or_default().to_owned();
        Self { summary, detail, timed_out: false, transient: false }
    }

    /// A fault that is a timeout.
    pub fn timeout(text: impl Into<String>) -> Self {
        Self { timed_out: true, ..Self::new(text) }
    }
}

/// Asynchronous work. It belongs to the state that started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Creates a node's namespaces, after removing the remains of an earlier run.
    CreateNode { node: String },
    /// Kills a node's init, and with it everything on the node.
    EndNode { node: String },
    /// Writes an instance's files, and at its first start applies the objects that have to exist
    /// before its processes.
    Prepare { instance: InstanceId, first: bool, until: Option<Time> },
    /// Runs a probe until it passes. Without a deadline, it is retried without end.
    Probe { instance: InstanceId, endpoint: usize, until: Option<Time> },
    /// Runs all probes of a ready instance once.
    Check { instance: InstanceId },
    /// Runs the liveness probe of a process once.
    CheckProcess { process: ProcessId },
    /// Runs the component's `before_stop`.
    BeforeStop { instance: InstanceId },
    /// Builds an instance's images and imports them on nodes that don't have them.
    LoadImages { instance: InstanceId },
    /// Applies an instance's objects.
    Apply { instance: InstanceId, until: Option<Time> },
    /// Imports the pause image on nodes that don't have it.
    LoadPauseImage,
    /// Creates the default service account.
    CreateDefaultNamespace { until: Option<Time> },
    /// Deletes the objects that were applied and are in no plan any more.
    Prune,
    /// Plans a requested change. Its result is [`Outcome::Planned`].
    Plan { request: RequestId },
    /// Drains nodes.
    Drain { nodes: Vec<String> },
    /// Uncordons nodes.
    Uncordon { nodes: Vec<String> },
    /// Sets or removes the out-of-service taint of nodes.
    MarkNodes { off: Vec<String>, on: Vec<String> },
    /// Commits the new state of a change with one durable rename, then prunes.
    Commit { request: RequestId },
    /// Uncordons running nodes and removes their out-of-service taints, if an unfinished change of
    /// an earlier run left them.
    RestoreNodes,
    /// Performs a request that doesn't change the instances: ports, a copy, a name. Its result is
    /// [`Outcome::Answered`] or [`Outcome::Committed`].
    Perform { request: RequestId },
}

/// The signal that stops a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// The signal named by its plan.
    Stop,
    /// SIGKILL, to its process group.
    Kill,
}

/// The result of work.
#[derive(Debug, Clone)]
pub enum Outcome {
    Ok,
    Failed(Fault),
    Planned(Box<ChangePlan>),
    Answered(Box<Reply>),
    /// As `Answered`, and a new state was committed.
    Committed(Box<Reply>),
}

/// The part of a request that the reducer needs. The rest is stored outside, by its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Changes the set of instances. `base` is the revision on which the new state is based.
    Change { base: u64 },
    /// Must not run at the same time as a change.
    Exclusive,
    /// Copies the data of a role's instances, whose processes are paused meanwhile.
    Copy,
    /// Reports the state of all instances. `check` runs their probes first.
    Report { check: bool },
    /// Stops the cluster in order.
    Stop,
}

/// An input of the reducer.
#[derive(Debug, Clone)]
pub enum Input {
    /// The deadline of the reducer was reached.
    Tick,
    Spawned(ProcessId),
    SpawnFailed(ProcessId, Fault),
    /// A process exited. `status` is text like `exit status 1`. `log` is the end of its log, as
    /// part of a message.
    Ended {
        process: ProcessId,
        status: String,
        success: bool,
        log: String,
    },
    Done(WorkId, Outcome),
    /// A node's init exited, and with it everything on the node.
    NodeEnded(String),
    Request(RequestId, RequestKind),
    /// The command that requested a change cancels it.
    Cancel(RequestId),
    /// The command that boots was interrupted or has exited.
    AbortBoot,
    /// The command that boots was interrupted twice.
    KillBoot,
    /// The keeper was asked to stop the cluster in order.
    Stop,
    /// Ends the cluster at once.
    Kill,
    /// The keeper has exited.
    KeeperGone,
}

/// The reply to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The change is committed.
    Changed,
    /// The change failed. `restored`: what ran before it runs again.
    ChangeFailed { error: String, restored: bool },
    /// The change was rejected before it began.
    Refused(String),
    /// The change was rejected: it isn't based on the committed revision.
    Stale,
    /// Any other answer.
    Reply(Box<Reply>),
}

/// How the engine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By an order.
    Ordered,
    /// The keeper has exited, so the caller has to do its cleanup.
    KeeperGone,
    /// The boot failed.
    BootFailed { error: String, timed_out: bool },
}

/// An action that the reducer requests.
#[derive(Debug, Clone)]
pub enum Action {
    Begin(WorkId, Work),
    /// Cancels work whose result isn't needed any more.
    Abandon(WorkId),
    Spawn(ProcessId),
    Signal(ProcessId, StopSignal),
    /// Sets whether a role is ready.
    Role(RoleAt, bool),
    /// Sets the current instances, in boot order.
    Order(Vec<InstanceId>),
    /// A boot or change begins to start instances. Older reports of nodes don't count from now on.
    BringUp,
    /// An instance's processes were started, or it is ready: other processes may get the CPU first.
    LowerPriority(InstanceId),
    /// The boot or change is over: all processes get the same priority again.
    RestorePriorities,
    /// Uses the boot of a change for all work that begins from now on.
    Adopt(RequestId),
    /// Uses the committed boot again.
    Restore,
    Emit(Event),
    /// Sends events to the command that made this request from now on.
    Watch(RequestId),
    /// The boot is over: its command gets no further events.
    Booted,
    Reply(RequestId, Answer),
    Report(RequestId),
    /// Records what ends the cluster, for other commands.
    RecordEnd(EndCause),
    Exit(End),
}

/// The cause of the cluster's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// A failed or interrupted boot.
    Boot,
    /// An order to stop.
    Stop,
}
