//! Computes an environment from settings: nodes, addresses, directories, certificates, kubeconfigs.

mod binaries;
mod environment;
mod kubeconfigs;
mod nodes;
mod pki;

pub(super) use binaries::{FOR_USERS_IF_THERE, binaries};
pub(super) use environment::{HostResources, for_boot, for_dry_run, has_registry};
pub(super) use kubeconfigs::{write_admin_kubeconfig, write_kubeconfigs};
pub(super) use nodes::{allot, ineffective_node_settings};

use crate::graph::{Environment, Instance};
use kubernix_core::roles;
use std::collections::BTreeMap;

/// The environment variables in which clients of a CRI runtime, such as crictl, expect its socket.
const CRI_CLIENTS: [&str; 2] = ["CONTAINER_RUNTIME_ENDPOINT", "IMAGE_SERVICE_ENDPOINT"];
/// The toolchain's name of the `kubernix` binary, which contains the OCI runtime shim.
const OWN: &str = "kubernix";

/// The sandbox's host name: the name of the node in its namespaces, or `control-plane` without one.
pub(super) fn hostname(environment: &Environment) -> String {
    let inside = environment.nodes.iter().find(|node| node.placement.is_in_sandbox());
    inside.map_or_else(|| "control-plane".to_owned(), |node| node.name.clone())
}

/// The URL of the first instance that fills a role.
fn endpoint(instances: &[Instance], role: &str) -> Option<String> {
    let mut endpoints = instances.iter().flat_map(|instance| &instance.plan.provides);
    endpoints.find(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone())
}

/// The environment variables for users' shells: the socket of the first node's container runtime,
/// and the variables of components. The first instance of several with the same variable wins.
pub(super) fn variables(instances: &[Instance]) -> BTreeMap<String, String> {
    let cri = endpoint(instances, roles::CRI);
    let own = cri.iter().flat_map(|url| CRI_CLIENTS.map(|name| (name.to_owned(), url.clone())));
    let declared = instances.iter().rev().flat_map(|instance| instance.plan.variables.clone());
    declared.chain(own).collect()
}
