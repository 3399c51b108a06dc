//! A new CA of a cluster that was booted before, given to its namespaces before any pod starts.
//!
//! A pod reads the CA once, when it starts. Nodes start pods as soon as the API answers, which is
//! before kube-controller-manager replaces the CA in the namespaces. So nodes wait in such a boot,
//! and the host replaces it.

use super::Cluster;
use super::planned::Planned;
use super::reducer::{InstanceId, InstanceSpec};
use crate::pki;
use crate::root::Root;
use kubernix_core::{Role, roles};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::rc::Rc;
use tokio::time::Instant;

/// Lets nodes wait for the role that is filled once the namespaces have a new CA, where there is
/// one.
pub(super) fn hold_nodes(
    root: &Root,
    planned: &BTreeMap<InstanceId, Rc<Planned>>,
    specs: &mut [(InstanceId, InstanceSpec)],
) {
    let Some(api) = planned.values().find(|one| one.fills(roles::APISERVER_PORT)) else { return };
    if !is_unpublished(root) {
        return;
    }
    let published = api.instance.at(&Role::new(roles::APISERVER_PORT));
    for (id, spec) in specs {
        if planned.get(id).is_some_and(|one| one.fills(roles::NODE)) {
            spec.waits.push(published.clone());
        }
    }
}

fn is_unpublished(root: &Root) -> bool {
    pki::unpublished(&root.pki()).exists()
}

impl Cluster {
    /// Gives the namespaces a new CA, where there is one, by an API server that answers.
    ///
    /// # Errors
    /// The deadline passed, or the CA can't be read.
    pub(super) async fn publish_authority(&self, planned: &Planned, deadline: Instant) -> Result<(), String> {
        if !is_unpublished(&self.root) {
            return Ok(());
        }
        let Some(endpoint) = planned.endpoint(roles::APISERVER) else { return Ok(()) };
        let ca = planned.environment.files.get("ca.crt").ok_or("the cluster has no CA")?;
        let ca = fs::read_to_string(ca).map_err(|error| format!("can't read {}: {error}", ca.display()))?;
        let api = self.api_of(planned, &endpoint.url)?;
        api.publish_authority(&ca, deadline).await.map_err(|error| error.to_string())?;
        match fs::remove_file(pki::unpublished(&self.root.pki())) {
            // Another member of the control plane was first.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // The next boot does it again, which changes nothing.
            Err(error) => log::warn!("the note of a new CA can't be removed: {error}"),
            Ok(()) => {}
        }
        Ok(())
    }
}
