//! What the host itself does while a cluster boots, beside the starting of instances. Images have a file of their own.

use super::{BootFailure, Cluster};
use crate::api::Api;
use crate::events::Event;
use kubernix_core::{Manifest, Role, roles};
use serde_json::json;
use std::fs;
use tokio::time::Instant;

/// The host's own steps, as they read in the timeline.
pub(super) const PAUSE_IMAGE: &str = "pause image";
pub(super) const DEFAULT_NAMESPACE: &str = "default service account";
/// The same, each with the role that it can't do without.
pub(super) const STEPS: &[(&str, &str)] = &[(PAUSE_IMAGE, roles::CRI), (DEFAULT_NAMESPACE, roles::APISERVER)];

impl Cluster {
    /// Makes what a pod of the namespace `default` can't be made or started without: its service account, and the
    /// certificate of the cluster's CA that is mounted into each pod. The controller manager makes the same in every
    /// namespace, but only once all of its controllers have an identity, some 160 requests after its start; what it
    /// finds, it keeps.
    pub(super) async fn open_default_namespace(&self, api: Option<&Api>, deadline: Instant) -> Result<(), BootFailure> {
        let failed = |why| BootFailure::Step { step: DEFAULT_NAMESPACE.into(), why, late: Instant::now() >= deadline };
        let (Some(server), Some(api)) = (self.provider(roles::APISERVER), api) else {
            return Ok(());
        };
        self.board.wait(&server.planned.at(&Role::new(roles::APISERVER))).await;
        self.emit(Event::Started { instance: DEFAULT_NAMESPACE.into() });
        let ca = self.boot.environment.files.get("ca.crt").ok_or_else(|| failed("the cluster has no CA".into()))?;
        let ca = fs::read_to_string(ca).map_err(|error| failed(format!("can't read {}: {error}", ca.display())))?;
        api.apply(&default_namespace(&ca), deadline).await.map_err(|error| failed(error.to_string()))?;
        self.emit(Event::Ready { instance: DEFAULT_NAMESPACE.into() });
        Ok(())
    }
}

/// `ca`: PEM. Names and keys are those of kube-controller-manager's serviceaccount and root-ca-certificate-publisher controllers.
fn default_namespace(ca: &str) -> Manifest {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let root = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ca},
    });
    Manifest::new("default namespace", format!("{account}\n---\n{root}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_reaches_pods_as_it_is_written() {
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let manifest = default_namespace(pem);
        let (account, root) = manifest.yaml.split_once("\n---\n").unwrap();
        let root: serde_json::Value = serde_json::from_str(root).unwrap();
        assert_eq!(root["data"]["ca.crt"], pem);
        assert_eq!(root["metadata"]["name"], "kube-root-ca.crt");
        assert!(account.contains(r#""kind":"ServiceAccount""#) && account.contains(r#""name":"default""#), "{account}");
    }
}
