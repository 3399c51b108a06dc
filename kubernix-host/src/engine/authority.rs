//! Publishes a renewed CA in the namespaces of a cluster before any pod starts.
//!
//! A pod reads the CA once, when it starts. Nodes start pods as soon as the API responds, which is
//! before kube-controller-manager replaces the CA in the namespaces. In the first boot with a new
//! CA, the host therefore delays the nodes and replaces the CA itself.

use super::Cluster;
use super::clients::{ApiError, read_ca};
use super::planned::Planned;
use super::reducer::{InstanceId, InstanceSpec};
use crate::pki;
use crate::root_dir::Root;
use kubernix_core::{Role, roles};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::rc::Rc;
use tokio::time::Instant;

/// If the CA is unpublished, lets nodes wait for the role `apiserver-port`, which becomes ready
/// after its publication.
pub(super) fn delay_nodes(
    root: &Root,
    planned: &BTreeMap<InstanceId, Rc<Planned>>,
    specs: &mut [(InstanceId, InstanceSpec)],
) {
    let Some(api) = planned.values().find(|one| one.fills(roles::APISERVER_PORT)) else { return };
    if !is_unpublished(root) {
        return;
    }
    let role = api.instance.at(&Role::new(roles::APISERVER_PORT));
    for (id, spec) in specs {
        if planned.get(id).is_some_and(|one| one.fills(roles::NODE)) {
            spec.waits.push(role.clone());
        }
    }
}

fn is_unpublished(root: &Root) -> bool {
    pki::unpublished(&root.pki()).exists()
}

impl Cluster {
    /// If the CA is unpublished, replaces it in all namespaces through this API server.
    ///
    /// # Errors
    /// The deadline passed, or the CA can't be read.
    pub(super) async fn publish_authority(&self, planned: &Planned, deadline: Instant) -> Result<(), ApiError> {
        if !is_unpublished(&self.root) {
            return Ok(());
        }
        let Some(endpoint) = planned.endpoint(roles::APISERVER) else { return Ok(()) };
        let ca = read_ca(&planned.environment)?;
        self.api_of(planned, &endpoint.url)?.publish_authority(&ca, deadline).await?;
        match fs::remove_file(pki::unpublished(&self.root.pki())) {
            // Another member of the control plane has published it as well.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // The next boot publishes it again, which is harmless.
            Err(error) => log::warn!("the mark of an unpublished CA can't be removed: {error}"),
            Ok(()) => {}
        }
        Ok(())
    }
}
