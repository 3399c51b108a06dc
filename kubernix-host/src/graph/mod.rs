//! Plans a cluster: turns components and settings into a graph of instances, each with the roles
//! that it waits for and the plan of its component.
//!
//! Must not: start or write anything. The same input gives the same graph.

mod addons;
mod binaries;
mod context;
mod environment;
mod error;
mod order;
mod planner;
mod slots;

pub use addons::{DEFAULT_ADDONS, with_addons};
pub use binaries::binaries;
pub use context::{HookRunner, InstanceContext};
pub use environment::{Environment, NodeSpec};
pub use error::GraphError;
pub use slots::{DEFAULT_SLOTS, catalogue, filled, on_node, used};

use slots::Choice;

use crate::plugins::{Components, Registered};
use kubernix_core::{Phase, Plan, Role, Wait};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A role of the whole cluster, or of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoleAt {
    /// The role.
    pub role: Role,
    /// The node that it belongs to; `None` for roles of the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A role that an instance needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The role.
    #[serde(flatten)]
    pub at: RoleAt,
    /// What the instance waits for.
    pub wait: Wait,
}

/// One instance of a component, with its plan.
#[derive(Serialize)]
pub struct Instance {
    /// The name that users read: `etcd`, `CRI-O (node 0)`. Unique.
    pub instance: String,
    /// The component's name.
    pub component: String,
    /// Its phase.
    pub phase: Phase,
    /// The node that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The roles that it needs.
    pub needs: Vec<Need>,
    /// Its plan.
    pub plan: Plan,
    /// The component, for its hooks.
    #[serde(skip)]
    pub registered: Arc<Registered>,
    /// Its context, for its hooks.
    #[serde(skip)]
    pub context: Arc<InstanceContext>,
}

impl Instance {
    /// The role as this instance provides it: on its node, or of the whole cluster.
    pub fn at(&self, role: &Role) -> RoleAt {
        RoleAt { role: role.clone(), node: self.node.clone() }
    }

    /// The roles that have to be ready before it starts.
    pub fn waits_for(&self) -> impl Iterator<Item = &RoleAt> {
        self.needs.iter().filter(|need| need.wait == Wait::READY).map(|need| &need.at)
    }
}

/// Plans all instances, in topological order: each comes after those that it needs.
///
/// # Errors
/// A required slot is empty, instances wait for each other, or a component rejects its context.
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
