//! What the host itself does while a cluster boots, beside the starting of instances. Images have a file of their own.

use super::{BootFailure, Cluster};
use crate::api::Api;
use crate::events::Event;
use crate::graph::RoleAt;
use kubernix_core::{Manifest, Role, roles};
use serde_json::json;
use std::fs;
use tokio::time::{Instant, timeout_at};

/// The host's own steps, as they read in the timeline.
pub(super) const PAUSE_IMAGE: &str = "pause image";
pub(super) const DEFAULT_NAMESPACE: &str = "default service account";
pub(super) const BOOTSTRAP_POLICY: &str = "bootstrap policy";
/// The same, each with the role that it can't do without.
pub(super) const STEPS: &[(&str, &str)] =
    &[(PAUSE_IMAGE, roles::CRI), (BOOTSTRAP_POLICY, roles::APISERVER_PORT), (DEFAULT_NAMESPACE, roles::APISERVER_PORT)];

impl Cluster {
    /// Sees to it that the API's own roles come early, so that those who need them needn't wait until all of it is ready. What
    /// goes wrong with that shows in the API server, which doesn't get ready.
    pub(super) async fn hasten_policy(&self, api: Option<&Api>, deadline: Instant) -> Result<(), BootFailure> {
        let (Some(server), Some(api)) = (self.provider(roles::APISERVER_PORT), api) else { return Ok(()) };
        self.board.wait(&server.planned.at(&Role::new(roles::APISERVER_PORT))).await;
        self.emit(Event::Started { instance: BOOTSTRAP_POLICY.into() });
        if timeout_at(deadline, api.hasten_bootstrap_policy()).await.is_ok() {
            self.emit(Event::Ready { instance: BOOTSTRAP_POLICY.into() });
            self.board.set(&policy(), true);
        }
        Ok(())
    }

    /// Waits until a role is there for who needs it: the API answers early, but until it has its roles it refuses
    /// whoever isn't its administrator, and who is refused tries again only after a second.
    pub(super) async fn await_role(&self, role: &RoleAt) {
        self.board.wait(role).await;
        if role.role.as_str() == roles::APISERVER_PORT {
            self.board.wait(&policy()).await;
        }
    }

    /// Makes what a pod of the namespace `default` can't be made or started without: its service account, and the
    /// certificate of the cluster's CA that is mounted into each pod. The controller manager makes the same in every
    /// namespace, but only once all of its controllers have an identity, some 160 requests after its start; what it
    /// finds, it keeps.
    pub(super) async fn open_default_namespace(&self, api: Option<&Api>, deadline: Instant) -> Result<(), BootFailure> {
        let failed = |why| BootFailure::Step { step: DEFAULT_NAMESPACE.into(), why, late: Instant::now() >= deadline };
        let (Some(server), Some(api)) = (self.provider(roles::APISERVER_PORT), api) else {
            return Ok(());
        };
        self.board.wait(&server.planned.at(&Role::new(roles::APISERVER_PORT))).await;
        self.emit(Event::Started { instance: DEFAULT_NAMESPACE.into() });
        let ca = self.boot.environment.files.get("ca.crt").ok_or_else(|| failed("the cluster has no CA".into()))?;
        let ca = fs::read_to_string(ca).map_err(|error| failed(format!("can't read {}: {error}", ca.display())))?;
        api.apply(&default_namespace(&ca), deadline).await.map_err(|error| failed(error.to_string()))?;
        self.emit(Event::Ready { instance: DEFAULT_NAMESPACE.into() });
        Ok(())
    }
}

/// The step's place on the board, among the roles.
fn policy() -> RoleAt {
    RoleAt { role: Role::new(BOOTSTRAP_POLICY), node: None }
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
