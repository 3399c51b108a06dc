//! Writes a cluster's kubeconfigs.

use super::endpoint;
use crate::cluster::{HostError, port};
use crate::graph::{Environment, Instance};
use crate::pki::{self, Identity};
use crate::root_dir::{Batch, Root};
use kubernix_core::roles;
use std::path::Path;

/// The user whose kubeconfig is for use on the host.
pub(super) const ADMIN: &str = "admin";
/// Users with a kubeconfig for use inside the sandbox.
pub(super) const INSIDE: &[&str] = &["controller-manager", "proxy", "scheduler"];
/// The name of cluster and context in kubeconfigs for use inside the sandbox.
const INSIDE_CONTEXT: &str = "inside";

/// The API server's URL inside the sandbox, outside of any control plane node.
fn api(environment: &Environment, instances: &[Instance]) -> Option<String> {
    let fills = |one: &&Instance| one.plan.provides.iter().any(|e| e.role.as_str() == roles::APISERVER);
    let member = instances.iter().find(fills)?.node.as_deref();
    Some(environment.seen_from(None, member, &endpoint(instances, roles::APISERVER)?))
}

/// An identity with paths of the host.
fn on_host(root: &Root, identity: &Identity) -> Identity {
    let outside = |path: &Path| root.to_outside(path);
    Identity { cert: outside(&identity.cert), key: outside(&identity.key), ca: outside(&identity.ca) }
}

/// Writes the admin's kubeconfig, which is for use on the host and has the cluster's name.
pub(in crate::cluster) fn write_admin_kubeconfig(
    root: &Root,
    environment: &Environment,
    api_port: u16,
) -> Result<(), HostError> {
    let mut batch = Batch::default();
    add_admin_kubeconfig(&mut batch, root, environment, api_port)?;
    batch.commit()?;
    Ok(())
}

fn add_admin_kubeconfig(
    batch: &mut Batch,
    root: &Root,
    environment: &Environment,
    api_port: u16,
) -> Result<(), HostError> {
    let Some(identity) = environment.identities.get(ADMIN) else { return Ok(()) };
    let (identity, url) = (on_host(root, identity), port::api_url(api_port));
    pki::kubeconfig(batch, &root.kubeconfigs(), ADMIN, &identity, &url, &environment.cluster)?;
    Ok(())
}

/// Writes all kubeconfigs: the admin's for use on the host, the others for use inside the sandbox.
pub(in crate::cluster) fn write_kubeconfigs(
    root: &Root,
    environment: &Environment,
    instances: &[Instance],
    api_port: u16,
) -> Result<(), HostError> {
    let Some(inside) = api(environment, instances) else { return Ok(()) };
    let mut batch = Batch::default();
    for name in environment.kubeconfigs.keys().filter(|name| *name != ADMIN) {
        let Some(identity) = environment.identities.get(name) else { continue };
        pki::kubeconfig(&mut batch, &root.kubeconfigs(), name, &on_host(root, identity), &inside, INSIDE_CONTEXT)?;
    }
    add_admin_kubeconfig(&mut batch, root, environment, api_port)?;
    batch.commit()?;
    Ok(())
}
