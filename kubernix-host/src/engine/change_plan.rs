//! Plans a change: compares the current instances with the requested ones, so that only those that
//! differ stop and start.

use super::Cluster;
use super::planned::Planned;
use super::reducer::{ChangePlan, InstanceId, RequestId};
use super::set_up::{PluginError, load_components, search_path};
use crate::boot::Boot;
use crate::graph::{self, GraphError};
use kubernix_core::{Role, Wait, roles};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Why a change can't be planned.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    /// The command has disconnected.
    #[error("the command has exited")]
    CommandExited,
    /// The request can't be parsed.
    #[error("the requested state can't be parsed")]
    Parse(#[source] serde_json::Error),
    /// A plugin can't be loaded.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The instances can't be planned.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The roles that an instance needs, on whichever node.
fn needed_roles(instance: &graph::Instance) -> impl Iterator<Item = (&Role, Wait)> {
    instance.needs.iter().map(|need| (&need.at.role, need.wait))
}

impl Cluster {
    /// Plans a requested change, without starting or stopping anything.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub(super) fn plan(&self, request: RequestId) -> Result<ChangePlan, PlanError> {
        let change = self.requests.change(request).ok_or(PlanError::CommandExited)?;
        let next: Boot = serde_json::from_value(change.boot.clone()).map_err(PlanError::Parse)?;
        let components = load_components(&self.built_in, &next.plugins)?;
        let environment = Arc::new(next.environment.clone());
        let planned = graph::plan(&components, &next.slots, &environment)?;
        let mut plan = ChangePlan { drain: change.removed.clone(), ..ChangePlan::default() };
        plan.limit = Duration::from_secs(next.boot_timeout_s);
        let mut stops = self.instances();
        let mut starts: Vec<Rc<Planned>> = Vec::new();
        for new in planned {
            let is_forced = change.component.as_ref() == Some(&new.component);
            match stops.iter().position(|old| !is_forced && is_same(old, &new, &environment)) {
                Some(at) => plan.order.push(stops.remove(at).id),
                None => {
                    let id = InstanceId(self.next_instance.replace(self.next_instance.get() + 1));
                    plan.order.push(id);
                    starts.push(Rc::new(Planned::new(id, new, &environment)));
                }
            }
        }
        plan.stops = stops.iter().map(|planned| planned.id).collect();
        plan.starts = starts.iter().map(|planned| (planned.id, planned.spec(false))).collect();
        (plan.off, plan.on) = (kubelets(&starts, true), kubelets(&starts, false));
        (plan.off_before, plan.on_before) = (kubelets(&stops, true), kubelets(&stops, false));
        // Kubernetes is informed only of nodes that are switched on or off by this change, not of
        // new or removed ones.
        plan.on.retain(|node| plan.off_before.contains(node));
        plan.on_before.retain(|node| plan.off.contains(node));
        plan.off_before.retain(|node| plan.on.contains(node));
        starts.iter().for_each(|planned| self.enable_hook_commands(planned));
        self.planned.borrow_mut().extend(starts.into_iter().map(|planned| (planned.id, planned)));
        Ok(plan)
    }

    /// Makes the boot of a change the current one, until it is committed or rolled back.
    pub(super) fn adopt(&self, request: RequestId) {
        let change = self.requests.change(request);
        // Can't fail: it was parsed when the change was planned.
        let boot = change.and_then(|change| serde_json::from_value::<Boot>(change.boot.clone()).ok());
        self.set_pending(boot.map(Rc::new));
    }

    /// Makes the committed boot the current one again.
    pub(super) fn restore(&self) {
        self.set_pending(None);
    }

    pub(super) fn set_pending(&self, pending: Option<Rc<Boot>>) {
        *self.pending.borrow_mut() = pending;
        *self.checker.borrow_mut() = None;
        self.spawner.borrow_mut().path = search_path(&self.boot().environment);
    }
}

fn is_same(old: &Planned, new: &graph::Instance, environment: &graph::Environment) -> bool {
    let before = &old.instance;
    (&before.instance, &before.component) == (&new.instance, &new.component)
        && needed_roles(before).eq(needed_roles(new))
        && before.plan == new.plan
        && old.is_off() == new.node.as_deref().is_some_and(|node| environment.is_off(node))
}

/// The nodes whose kubelets are among these instances and are switched off, or on.
fn kubelets(instances: &[Rc<Planned>], off: bool) -> Vec<String> {
    let kubelets = instances.iter().filter(|planned| planned.fills(roles::NODE) && planned.is_off() == off);
    kubelets.filter_map(|planned| planned.instance.node.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}
