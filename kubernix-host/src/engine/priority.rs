//! CPU priorities while a cluster boots. On few cores, everything that runs beside what is waited
//! for delays the end.
//!
//! The API server takes longest: until it is ready, it and what it needs go before all others. From
//! then on, what is not ready yet, and what that needs, goes before what is.

use super::planned::Planned;
use super::reducer::InstanceId;
use super::{Cluster, InstanceState};
use crate::process::{set_idle_priority, set_normal_priority};
use kubernix_core::roles;
use std::rc::Rc;

impl Cluster {
    /// Lets an instance whose processes were just started, or that is just ready, run only where no
    /// other wants to, unless the boot waits for it.
    pub(super) fn yield_cpu(&self, id: InstanceId) {
        let Some(planned) = self.instance(id) else { return };
        let state = self.reducer.borrow().instance_state(id);
        let is_ready = state == Some(InstanceState::Ready);
        if is_ready && is_server(&planned) {
            self.let_late_run();
        }
        let waits_for_server =
            || self.provider_state(roles::APISERVER).is_some_and(|state| state != InstanceState::Ready);
        if (is_ready || waits_for_server()) && !self.is_on_longest_way(&planned) {
            self.processes_of(id).iter().for_each(set_idle_priority);
        }
    }

    /// On a slow machine some instances are still late when the API server is ready: one that
    /// starts only now would keep them from ever getting on.
    fn let_late_run(&self) {
        let all = self.instances();
        let reducer = self.reducer.borrow();
        let is_late =
            |one: &&Rc<Planned>| !one.is_off() && reducer.instance_state(one.id) != Some(InstanceState::Ready);
        for late in all.iter().filter(is_late) {
            for one in all.iter().filter(|other| late.needs(other)).chain([late]) {
                self.processes_of(one.id).iter().for_each(set_normal_priority);
            }
        }
    }

    fn provider_state(&self, role: &str) -> Option<InstanceState> {
        self.reducer.borrow().instance_state(self.provider(role)?.id)
    }

    /// Whether this is the API server, or the API server waits for it, be it through others.
    fn is_on_longest_way(&self, planned: &Planned) -> bool {
        is_server(planned) || self.instances().iter().any(|other| other.needs(planned) && self.is_on_longest_way(other))
    }
}

fn is_server(planned: &Planned) -> bool {
    planned.fills(roles::APISERVER)
}
