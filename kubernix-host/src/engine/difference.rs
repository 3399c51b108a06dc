//! From the instances that run to those that a change asks for: only what differs ends and starts.

use super::Cluster;
use super::planned::Planned;
use super::reducer::{ChangePlan, InstanceId, RequestId};
use super::run::{search_path, with_plugins};
use crate::boot::Boot;
use crate::chain::chain;
use crate::graph;
use kubernix_core::{Role, Wait, roles};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What an instance waits for, whichever of several it is that provides it.
fn needed(instance: &graph::Instance) -> impl Iterator<Item = (&Role, Wait)> {
    instance.needs.iter().map(|need| (&need.at.role, need.wait))
}

impl Cluster {
    /// Plans what a change asks for. Nothing is started or ended by it.
    ///
    /// # Errors
    /// The request can't be understood, or its instances not be planned.
    pub(super) fn plan(&self, request: RequestId) -> Result<ChangePlan, String> {
        let change = self.requests.change(request).ok_or("the request is gone")?;
        let next: Boot = serde_json::from_value(change.boot.clone())
            .map_err(|error| format!("the change can't be understood: {error}"))?;
        let components = with_plugins(&self.built_in, &next.plugins)?;
        let environment = Arc::new(next.environment.clone());
        let planned = graph::plan(&components, &next.slots, &environment).map_err(|error| chain(&error))?;
        let mut plan = ChangePlan { drain: change.removed.clone(), ..ChangePlan::default() };
        plan.limit = Duration::from_secs(next.boot_timeout_s);
        let mut goes = self.instances();
        let mut comes: Vec<Rc<Planned>> = Vec::new();
        for new in planned {
            let is_forced = change.component.as_ref() == Some(&new.component);
            match goes.iter().position(|old| !is_forced && is_same(old, &new, &environment)) {
                Some(at) => plan.order.push(goes.remove(at).id),
                None => {
                    let id = InstanceId(self.next_instance.replace(self.next_instance.get() + 1));
                    plan.order.push(id);
                    comes.push(Rc::new(Planned::new(id, new, &environment)));
                }
            }
        }
        plan.goes = goes.iter().map(|planned| planned.id).collect();
        plan.comes = comes.iter().map(|planned| (planned.id, planned.spec(false))).collect();
        (plan.off, plan.on) = (kubelets(&comes, true), kubelets(&comes, false));
        (plan.off_before, plan.on_before) = (kubelets(&goes, true), kubelets(&goes, false));
        // A node that is new or gone has nothing to be called back from.
        plan.on.retain(|node| plan.off_before.contains(node));
        plan.on_before.retain(|node| plan.off.contains(node));
        plan.off_before.retain(|node| plan.on.contains(node));
        comes.iter().for_each(|planned| self.let_run_commands(planned));
        self.planned.borrow_mut().extend(comes.into_iter().map(|planned| (planned.id, planned)));
        Ok(plan)
    }

    /// Puts in force, for the time being, what a change leads to.
    pub(super) fn adopt(&self, request: RequestId) {
        let change = self.requests.change(request);
        // It was parsed when the change was planned.
        let boot = change.and_then(|change| serde_json::from_value::<Boot>(change.boot.clone()).ok());
        self.use_boot(boot.map(Rc::new));
    }

    /// Puts in force what was committed last.
    pub(super) fn restore(&self) {
        self.use_boot(None);
    }

    pub(super) fn use_boot(&self, trying: Option<Rc<Boot>>) {
        *self.trying.borrow_mut() = trying;
        *self.checker.borrow_mut() = None;
        self.spawner.borrow_mut().path = search_path(&self.boot().environment);
    }
}

fn is_same(old: &Planned, new: &graph::Instance, environment: &graph::Environment) -> bool {
    let had = &old.instance;
    (&had.instance, &had.component) == (&new.instance, &new.component)
        && needed(had).eq(needed(new))
        && had.plan == new.plan
        && old.is_off() == new.node.as_deref().is_some_and(|node| environment.is_off(node))
}

/// The names of nodes whose kubelet is among these, and is off or not.
fn kubelets(instances: &[Rc<Planned>], off: bool) -> Vec<String> {
    let of_nodes = instances.iter().filter(|planned| planned.fills(roles::NODE) && planned.is_off() == off);
    of_nodes.filter_map(|planned| planned.instance.node.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}
