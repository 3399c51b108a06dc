//! Who goes first while a cluster boots. On few cores, everything that runs beside what is waited for delays the end.
//!
//! The API server takes longest: until it is ready, it and what it needs go before all others. From then on, what is not
//! ready yet, and what that needs, goes before what is.

use super::Cluster;
use super::instance::Live;
use super::state::InstanceState;
use crate::process::{end_patience, make_patient};
use kubernix_core::roles;
use std::rc::Rc;

impl Cluster {
    /// Of an instance whose processes just started.
    pub(super) fn started(&self, live: &Rc<Live>) {
        let server = self.provider(roles::APISERVER);
        if server.is_some_and(|server| server.state() != InstanceState::Ready) && !self.is_on_longest_way(live) {
            let_others_go_first(live);
        }
    }

    /// Of an instance that is ready, while others still aren't.
    pub(super) fn no_longer_waited_for(&self, live: &Rc<Live>) {
        if is_server(live) {
            // On a slow machine there are still some, and who starts only now would keep them from ever getting on.
            for late in self.late() {
                let needed = self.instances().into_iter().filter(|other| late.needs(other));
                needed.chain([late.clone()]).for_each(|one| one.processes.borrow().iter().for_each(end_patience));
            }
        }
        if !self.is_on_longest_way(live) {
            let_others_go_first(live);
        }
    }

    /// Whether this is the API server, or it waits for it, be it through others.
    fn is_on_longest_way(&self, live: &Rc<Live>) -> bool {
        is_server(live) || self.instances().iter().any(|other| other.needs(live) && self.is_on_longest_way(other))
    }
}

fn is_server(live: &Live) -> bool {
    live.planned.plan.provides.iter().any(|at| at.role.as_str() == roles::APISERVER)
}

fn let_others_go_first(live: &Live) {
    live.processes.borrow().iter().for_each(make_patient);
}
