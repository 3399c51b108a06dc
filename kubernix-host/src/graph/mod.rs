//! Turns components and settings into a graph of planned instances: which component fills which
//! role, which instance waits for which, and what each wants the host to do.
//!
//! This module plans; it must not start, write or touch anything: the same input gives the same
//! graph.

mod binaries;
mod context;
mod environment;
mod error;
mod order;
mod planner;
mod slots;

pub use binaries::binaries;
pub use context::{HookRunner, InstanceContext};
pub use environment::{Environment, NodeSpec};
pub use error::GraphError;
pub use slots::{DEFAULT_ADDONS, DEFAULT_SLOTS, catalogue, filled, on_node, used, with_addons};

use slots::Choice;

use crate::plugins::{Components, Registered};
use kubernix_core::{Phase, Plan, Role, Wait};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A role in one place: of the whole cluster, or of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoleAt {
    /// The role.
    pub role: Role,
    /// The node it belongs to; `None` for roles of the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Something that an instance waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The role and where.
    #[serde(flatten)]
    pub at: RoleAt,
    /// How much of it.
    pub wait: Wait,
}

/// One component in one place, with its plan.
#[derive(Serialize)]
pub struct Instance {
    /// What people read: `etcd`, `CRI-O (node 0)`. Unique.
    pub instance: String,
    /// The component's name.
    pub component: String,
    /// Its phase.
    pub phase: Phase,
    /// The node it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What it waits for.
    pub needs: Vec<Need>,
    /// What it wants.
    pub plan: Plan,
    /// The component itself, for its hooks.
    #[serde(skip)]
    pub registered: Arc<Registered>,
    /// What it knows, for its hooks.
    #[serde(skip)]
    pub context: Arc<InstanceContext>,
}

impl Instance {
    /// Where its roles are.
    pub fn at(&self, role: &Role) -> RoleAt {
        RoleAt { role: role.clone(), node: self.node.clone() }
    }

    /// The roles that it waits for to be ready.
    pub fn waits_for(&self) -> impl Iterator<Item = &RoleAt> {
        self.needs.iter().filter(|need| need.wait == Wait::READY).map(|need| &need.at)
    }
}

/// Plans all instances, in an order in which each comes after those that it needs.
///
/// # Errors
/// An empty slot that something requires, a circle, or a component that refuses its context.
pub fn plan(
    components: &Components,
    slots: &BTreeMap<String, String>,
    environment: &Arc<Environment>,
) -> Result<Vec<Instance>, GraphError> {
    let chosen = slots::choose(components, slots, environment.nodes.iter().map(|node| &*node.name))?;
    let drafts = order::expand(components, &chosen, environment)?;
    let mut endpoints: BTreeMap<RoleAt, String> = BTreeMap::new();
    let mut instances = Vec::with_capacity(drafts.len());
    for draft in order::sort(drafts)? {
        let instance = planner::plan(components, draft, &chosen, &endpoints, environment)?;
        for endpoint in &instance.plan.provides {
            endpoints.insert(instance.at(&endpoint.role), endpoint.url.clone());
        }
        instances.push(instance);
    }
    Ok(instances)
}
