//! The engine: runs the planned instances of a cluster inside its sandbox, from the first process to the last.
//!
//! It runs in the cluster's init, on one thread. Order comes from the graph alone: every instance waits for the roles that it
//! names, and everything that can overlap does. This module must not know any component by name, nor how namespaces are made.

mod board;
mod boot;
mod change;
mod copy;
mod failure;
mod first;
mod images;
mod instance;
mod leave;
mod nodes;
mod objects;
mod outward;
mod ports;
mod priority;
mod reducer;
mod run;
mod shutdown;
mod state;
mod steps;
mod supervise;

pub use failure::{BootFailure, StartFailure};
pub use run::run;
pub use state::{ClusterState, InstanceReport, InstanceState, Report};

use crate::events::{Event, Sink};
use crate::process::Spawner;
use crate::sandbox::Boot;
use board::Board;
use instance::Live;
use nodes::Nodes;
use ports::Ports;
use shutdown::HookCommand;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Everything that the parts of a running cluster share. One thread, so no locks.
struct Cluster {
    boot: Boot,
    /// What runs now. A change puts others in their places.
    instances: RefCell<Vec<Rc<Live>>>,
    board: Board,
    spawner: RefCell<Spawner>,
    /// The nodes with namespaces of their own that run.
    nodes: Nodes,
    /// Takes the commands of hooks.
    hooks: mpsc::UnboundedSender<HookCommand>,
    sink: Arc<dyn Sink>,
    /// Proxies that processes are told of that reach out: those of instances which fill `cri`.
    proxies: BTreeMap<String, String>,
    /// What the host answers at for the nodes.
    ports: Ports,
    /// Somebody copies what a component has written.
    copying: Cell<bool>,
    /// When this boot began.
    booted_at: SystemTime,
    /// When the boot, or the last change, began: what was reported earlier doesn't count.
    since: Cell<SystemTime>,
}

impl Cluster {
    fn emit(&self, event: Event) {
        self.sink.emit(event);
    }

    /// What runs now.
    fn instances(&self) -> Vec<Rc<Live>> {
        self.instances.borrow().clone()
    }

    /// Starts processes in the sandbox itself.
    fn spawner(&self) -> Spawner {
        self.spawner.borrow().clone()
    }
}
