//! Who goes first while a cluster boots. On few cores, everything that runs beside what is waited for delays the end.
//!
//! The API server takes longest: until it is ready, it and what it needs go before all others. From then on, what is not
//! ready yet goes before what is.

use super::Cluster;
use super::instance::Live;
use super::state::InstanceState;
use crate::process::set_nice;
use kubernix_core::roles;
use std::rc::Rc;

/// Nice value of what lets others go first.
const PATIENT: i32 = 19;
/// Nice value of everything when the boot is over.
const USUAL: i32 = 0;

impl Cluster {
    /// Of an instance whose processes just started.
    pub(super) fn started(&self, live: &Rc<Live>) {
        let server = self.provider(roles::APISERVER);
        if server.is_some_and(|server| server.state() != InstanceState::Ready) && !self.is_on_longest_way(live) {
            nice(live, PATIENT);
        }
    }

    /// Of an instance that is ready, while others still aren't.
    pub(super) fn no_longer_waited_for(&self, live: &Rc<Live>) {
        if !self.is_on_longest_way(live) {
            nice(live, PATIENT);
        }
    }

    /// From now on nobody has to let others go first.
    pub(super) fn end_patience(&self, instances: &[Rc<Live>]) {
        instances.iter().for_each(|live| nice(live, USUAL));
    }

    /// Whether this is the API server, or it waits for it, be it through others.
    fn is_on_longest_way(&self, live: &Rc<Live>) -> bool {
        let is_server = live.planned.plan.provides.iter().any(|at| at.role.as_str() == roles::APISERVER);
        is_server || self.instances().iter().any(|other| other.needs(live) && self.is_on_longest_way(other))
    }
}

fn nice(live: &Live, nice: i32) {
    live.processes.borrow().iter().for_each(|running| set_nice(running, nice));
}
