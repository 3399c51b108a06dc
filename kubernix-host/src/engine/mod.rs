//! The engine: runs the planned instances of a cluster inside its sandbox, from the first process
//! to the last.
//!
//! It runs in the cluster's init, on one thread. Its rules are a reducer (`reducer/`), which
//! decides; `run.rs` is the loop around it, `perform.rs` carries its decisions out, and the other
//! files are the work that takes its time. This module must not know any component by name, nor how
//! namespaces are made.

mod authority;
mod board;
mod commit;
mod copy;
mod difference;
mod failure;
mod files;
mod first;
mod hooks;
mod images;
mod node_service;
mod nodes;
mod objects;
mod outward;
mod perform;
mod planned;
mod ports;
mod priority;
mod probes;
mod reducer;
mod requests;
mod run;
mod state;
mod steps;
mod watch;
mod wire;
mod work;

pub use failure::StartFailure;
pub use run::run;
use state::{ClusterState, InstanceState};

use crate::boot::Boot;
use crate::events::{Event, Sink};
use crate::plugins::Registered;
use crate::probe::Prober;
use crate::process::{Running, Spawner};
use crate::root::{ClusterFile, Root};
use board::Board;
use hooks::HookCommand;
use nodes::Nodes;
use planned::Planned;
use ports::Ports;
use reducer::{Input, InstanceId, ProcessId, Reducer, Time, WorkId};
use requests::Requests;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use watch::Watched;

/// The state in force: as it is on the disk, and what of it the engine works with.
struct Committed {
    file: ClusterFile,
    boot: Rc<Boot>,
}

/// Everything that the parts of a running cluster share. One thread, so no locks.
struct Cluster {
    root: Root,
    /// The lock, which is the root directory itself and tells its path on the host.
    lock: Arc<OwnedFd>,
    built_in: Vec<Arc<Registered>>,
    /// The rules. Borrowed for a change of state only by the loop, and never across an await.
    reducer: RefCell<Reducer>,
    committed: RefCell<Committed>,
    /// A state is being written.
    writing: Cell<bool>,
    /// What a change is trying out.
    trying: RefCell<Option<Rc<Boot>>>,
    /// All planned instances that the rules know.
    planned: RefCell<BTreeMap<InstanceId, Rc<Planned>>>,
    /// Those of them that are the cluster's, in boot order.
    order: RefCell<Vec<InstanceId>>,
    next_instance: Cell<u32>,
    /// Processes that run, or ended a moment ago.
    running: RefCell<BTreeMap<ProcessId, Running>>,
    works: RefCell<BTreeMap<WorkId, AbortHandle>>,
    requests: Requests,
    board: Board,
    spawner: RefCell<Spawner>,
    /// The nodes with namespaces of their own that run.
    nodes: Nodes,
    /// Takes the commands of hooks.
    hooks: mpsc::UnboundedSender<HookCommand>,
    /// What happened, for the rules.
    inputs: mpsc::UnboundedSender<Input>,
    sink: Arc<Watched>,
    /// Asks ready instances whether they respond.
    checker: RefCell<Option<Rc<Prober>>>,
    /// Proxies that processes are told of that reach out: those of instances which fill `cri`.
    proxies: BTreeMap<String, String>,
    /// What the host answers at for the nodes.
    ports: Ports,
    /// The origin of the rules' time.
    started: Instant,
    /// When this boot began.
    booted_at: SystemTime,
    /// When the boot, or the last change, began: what was reported earlier doesn't count.
    since: Cell<SystemTime>,
}

impl Cluster {
    fn emit(&self, event: Event) {
        self.sink.emit(event);
    }

    /// What is in force for all that begins now: what a change tries out, or what was committed
    /// last.
    fn boot(&self) -> Rc<Boot> {
        self.trying.borrow().clone().unwrap_or_else(|| self.committed.borrow().boot.clone())
    }

    /// The instances of the cluster, in boot order.
    fn instances(&self) -> Vec<Rc<Planned>> {
        let planned = self.planned.borrow();
        self.order.borrow().iter().filter_map(|id| planned.get(id).cloned()).collect()
    }

    /// An instance that the rules know.
    fn instance(&self, id: InstanceId) -> Option<Rc<Planned>> {
        self.planned.borrow().get(&id).cloned()
    }

    /// The processes of an instance that run.
    fn processes_of(&self, id: InstanceId) -> Vec<Running> {
        let running = self.running.borrow();
        let own = running.iter().filter(|(process, running)| process.instance == id && running.exit().is_none());
        own.map(|(_, running)| running.clone()).collect()
    }

    /// Starts processes in the sandbox itself.
    fn spawner(&self) -> Spawner {
        self.spawner.borrow().clone()
    }

    /// The time of the rules.
    fn now(&self) -> Time {
        Time(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment of a time of the rules.
    fn instant(&self, time: Time) -> Instant {
        self.started + std::time::Duration::from_millis(time.0)
    }
}
