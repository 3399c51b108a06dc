//! The engine: runs the planned instances of a cluster inside its sandbox, from boot to shutdown.
//!
//! It runs in the cluster's init, on one thread. Start reading at `run.rs`, the event loop. The
//! decisions are made by a reducer (`reducer/`) and executed by `perform.rs`. The other files are
//! the asynchronous work that the decisions start.
//!
//! Must not know: any component by name, how namespaces are created.

mod authority;
mod bootstrap;
mod broadcast;
mod change_plan;
mod clients;
mod commit;
mod copy;
mod egress;
mod failure;
mod files;
mod forwarding;
mod hooks;
mod images;
mod node_init;
mod node_scheduling;
mod nodes;
mod objects;
mod perform;
mod planned;
mod ports;
mod priority;
mod probes;
mod readiness;
mod reducer;
mod requests;
mod run;
mod set_up;
mod state;
mod wire;
mod work;

use failure::StartFailure;
pub use run::run;
use state::{ClusterState, InstanceState};

use crate::boot::Boot;
use crate::events::{Event, Sink};
use crate::plugins::Registered;
use crate::probe::Prober;
use crate::process::{Running, Spawner};
use crate::root_dir::{ClusterFile, Root};
use broadcast::Broadcast;
use hooks::HookCommand;
use nodes::Nodes;
use planned::Planned;
use ports::Ports;
use readiness::Readiness;
use reducer::{Input, InstanceId, ProcessId, Reducer, Time, WorkId};
use requests::Requests;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The committed state: the file, and the boot that it contains.
struct Committed {
    file: ClusterFile,
    boot: Rc<Boot>,
}

/// The shared state of the engine. It is used by one thread and needs no locks.
struct Cluster {
    root: Root,
    /// The lock, a descriptor of the root directory from which its path on the host is read.
    lock: Arc<OwnedFd>,
    built_in: Vec<Arc<Registered>>,
    /// Borrowed mutably only by the event loop, and never across an await.
    reducer: RefCell<Reducer>,
    committed: RefCell<Committed>,
    /// A commit is being written.
    writing: Cell<bool>,
    /// The boot of a change that isn't committed yet.
    pending: RefCell<Option<Rc<Boot>>>,
    /// All instances that the reducer knows.
    planned: RefCell<BTreeMap<InstanceId, Rc<Planned>>>,
    /// The current instances of the cluster, in boot order.
    order: RefCell<Vec<InstanceId>>,
    next_instance: Cell<u32>,
    /// The running processes, and those whose exit isn't handled yet.
    running: RefCell<BTreeMap<ProcessId, Running>>,
    works: RefCell<BTreeMap<WorkId, AbortHandle>>,
    requests: Requests,
    readiness: Readiness,
    spawner: RefCell<Spawner>,
    /// The running nodes that have their own namespaces.
    nodes: Nodes,
    /// Receives the commands of hooks.
    hooks: mpsc::UnboundedSender<HookCommand>,
    /// Receives inputs for the reducer.
    inputs: mpsc::UnboundedSender<Input>,
    sink: Arc<Broadcast>,
    /// The prober for checks of ready instances.
    checker: RefCell<Option<Rc<Prober>>>,
    /// Proxy variables for the processes that pull images: those of instances that fill `cri`.
    proxies: BTreeMap<String, String>,
    /// The published ports.
    ports: Ports,
    /// The origin of the reducer's time.
    started: Instant,
    /// When this boot began.
    booted_at: SystemTime,
    /// When the boot or the last change began. Older reports of nodes don't count.
    since: Cell<SystemTime>,
}

impl Cluster {
    fn emit(&self, event: Event) {
        self.sink.emit(event);
    }

    /// The boot for all work that begins now: that of the pending change, or the committed one.
    fn boot(&self) -> Rc<Boot> {
        self.pending.borrow().clone().unwrap_or_else(|| self.committed.borrow().boot.clone())
    }

    /// The instances of the cluster, in boot order.
    fn instances(&self) -> Vec<Rc<Planned>> {
        let planned = self.planned.borrow();
        self.order.borrow().iter().filter_map(|id| planned.get(id).cloned()).collect()
    }

    /// An instance that the reducer knows.
    fn instance(&self, id: InstanceId) -> Option<Rc<Planned>> {
        self.planned.borrow().get(&id).cloned()
    }

    /// The first instance that fills a role and isn't switched off.
    fn provider(&self, role: &str) -> Option<Rc<Planned>> {
        self.instances().into_iter().find(|planned| !planned.is_off() && planned.fills(role))
    }

    /// The URLs of a role, of all instances that fill it.
    fn endpoints(&self, role: &str) -> Vec<String> {
        let instances = self.instances();
        let all = instances.iter().flat_map(|planned| &planned.instance.plan.provides);
        all.filter(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone()).collect()
    }

    /// The running processes of an instance.
    fn processes_of(&self, id: InstanceId) -> Vec<Running> {
        let running = self.running.borrow();
        let own = running.iter().filter(|(process, running)| process.instance == id && running.exit().is_none());
        own.map(|(_, running)| running.clone()).collect()
    }

    /// A spawner for processes in the sandbox itself.
    fn spawner(&self) -> Spawner {
        self.spawner.borrow().clone()
    }

    /// The current time of the reducer.
    fn now(&self) -> Time {
        Time(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Converts a time of the reducer.
    fn instant(&self, time: Time) -> Instant {
        self.started + Duration::from_millis(time.0)
    }
}
