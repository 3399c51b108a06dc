//! Builds instances and changes for tests.

use crate::engine::reducer::{ChangePlan, Fault, InstanceId, InstanceSpec, ProcessSpec};
use crate::graph::RoleAt;
use kubernix_core::{Restart, Role};
use std::time::Duration;

pub(super) const STOP_GRACE: Duration = Duration::from_secs(10);

/// A role of the control plane, or of a node: `cri@n1`.
pub(super) fn role(name: &str) -> RoleAt {
    match name.split_once('@') {
        Some((role, node)) => RoleAt { role: Role::new(role), node: Some(node.to_owned()) },
        None => RoleAt { role: Role::new(name), node: None },
    }
}

fn roles(names: &[&str]) -> Vec<RoleAt> {
    names.iter().map(|name| role(name)).collect()
}

pub(super) fn process(name: &str, restart: Restart) -> ProcessSpec {
    ProcessSpec { name: name.to_owned(), restart, grace: STOP_GRACE, one_shot: false, liveness: None }
}

/// An instance with one process and no endpoint.
pub(super) fn spec(name: &str) -> InstanceSpec {
    InstanceSpec {
        name: name.to_owned(),
        off: false,
        background: false,
        own_node: None,
        waits: Vec::new(),
        needs: Vec::new(),
        provides: Vec::new(),
        processes: vec![process(name, Restart::ALWAYS)],
        has_builds: false,
        has_manifests: false,
    }
}

/// An instance that fills the roles `provides`, and needs and waits for the roles `needs`.
pub(super) fn with_roles(name: &str, provides: &[&str], needs: &[&str]) -> InstanceSpec {
    InstanceSpec { provides: roles(provides), waits: roles(needs), needs: roles(needs), ..spec(name) }
}

/// An instance that fills a role of its own name.
pub(super) fn server(name: &str, needs: &[&str]) -> InstanceSpec {
    with_roles(name, &[name], needs)
}

pub(super) fn on_node(node: &str, spec: InstanceSpec) -> InstanceSpec {
    InstanceSpec { own_node: Some(node.to_owned()), ..spec }
}

pub(super) fn background(spec: InstanceSpec) -> InstanceSpec {
    InstanceSpec { background: true, ..spec }
}

pub(super) fn with_processes(spec: InstanceSpec, restarts: &[Restart]) -> InstanceSpec {
    let processes = restarts.iter().enumerate().map(|(slot, restart)| process(&format!("p{slot}"), *restart));
    InstanceSpec { processes: processes.collect(), ..spec }
}

/// A one-shot process.
pub(super) fn one_shot(name: &str) -> ProcessSpec {
    ProcessSpec { one_shot: true, ..process(name, Restart::NEVER) }
}

/// A process with a liveness check each second, which is restarted after two failures.
pub(super) fn checked(name: &str, restart: Restart) -> ProcessSpec {
    ProcessSpec { liveness: Some((Duration::from_secs(1), 2)), ..process(name, restart) }
}

/// etcd, an API server that needs it, and a scheduler that needs the API server.
pub(super) fn control_plane() -> Vec<InstanceSpec> {
    vec![server("etcd", &[]), server("apiserver", &["etcd"]), server("scheduler", &["apiserver"])]
}

/// A temporary resource shortage.
pub(super) fn transient() -> Fault {
    Fault { transient: true, ..Fault::new("text file busy") }
}

/// A change that stops and starts instances.
pub(super) fn plan(stops: &[u32], starts: Vec<(u32, InstanceSpec)>, order: &[u32]) -> ChangePlan {
    ChangePlan {
        stops: stops.iter().map(|id| InstanceId(*id)).collect(),
        starts: starts.into_iter().map(|(id, spec)| (InstanceId(id), spec)).collect(),
        order: order.iter().map(|id| InstanceId(*id)).collect(),
        limit: Duration::from_secs(60),
        ..ChangePlan::default()
    }
}
