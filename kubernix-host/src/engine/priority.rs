//! CPU priorities during a boot. With few cores, every process outside of the critical path delays
//! the boot.
//!
//! The API server takes longest. Until it is ready, it and the instances that it needs have
//! priority. Afterwards, the instances that aren't ready, and those that they need, have priority
//! over the ready ones.

use super::planned::Planned;
use super::reducer::InstanceId;
use super::{Cluster, InstanceState};
use crate::process::{set_idle_priority, set_normal_priority};
use kubernix_core::roles;
use std::rc::Rc;

impl Cluster {
    /// Gives an instance that has just started or become ready only idle CPU time, unless it is on
    /// the critical path.
    pub(super) fn lower_priority(&self, id: InstanceId) {
        let Some(planned) = self.instance(id) else { return };
        let state = self.reducer.borrow().instance_state(id);
        let is_ready = state == Some(InstanceState::Ready);
        if is_ready && is_server(&planned) {
            self.raise_late_instances();
        }
        let waits_for_server =
            || self.provider_state(roles::APISERVER).is_some_and(|state| state != InstanceState::Ready);
        if (is_ready || waits_for_server()) && !self.is_on_critical_path(&planned) {
            self.processes_of(id).iter().for_each(set_idle_priority);
        }
    }

    /// Restores the priority of instances that aren't ready when the API server is. On a slow
    /// machine, instances that start only now would otherwise starve them.
    fn raise_late_instances(&self) {
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

    /// Whether this is the API server, or the API server needs it directly or indirectly.
    fn is_on_critical_path(&self, planned: &Planned) -> bool {
        is_server(planned)
            || self.instances().iter().any(|other| other.needs(planned) && self.is_on_critical_path(other))
    }
}

fn is_server(planned: &Planned) -> bool {
    planned.fills(roles::APISERVER)
}
