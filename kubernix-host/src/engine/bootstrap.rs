//! The host's own steps of a boot: RBAC's bootstrap roles and the default namespace. The pause
//! image is in `images.rs`.

use super::Cluster;
use super::clients::{ApiError, read_ca};
use super::objects::apply_all;
use super::planned::Planned;
use super::reducer::Time;
use crate::events::Event;
use kubernix_core::{Manifest, Plan, Role, roles};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

/// The names of the steps in the timeline.
pub(super) const PAUSE_IMAGE: &str = "pause image";
const DEFAULT_NAMESPACE: &str = "default service account";
const BOOTSTRAP_POLICY: &str = "bootstrap policy";
/// The steps, each with the role that it requires and the roles that it waits for.
const STEPS: &[(&str, &str, &[&str])] = &[
    (PAUSE_IMAGE, roles::CRI, &[roles::CRI]),
    (BOOTSTRAP_POLICY, roles::APISERVER_PORT, &[]),
    (DEFAULT_NAMESPACE, roles::APISERVER, &[roles::APISERVER]),
];

impl Cluster {
    /// Once the port of an API server answers, creates RBAC's bootstrap roles so that the scheduler
    /// and kube-proxy aren't rejected: a rejected client backs off for a second. Errors are
    /// ignored, because the API server doesn't become ready without these roles.
    pub(super) async fn create_bootstrap_roles(&self, planned: &Planned, deadline: Instant) {
        let ready = planned.instance.at(&Role::new(roles::APISERVER));
        let Some(Ok(api)) = planned.endpoint(roles::APISERVER).map(|endpoint| self.api_of(planned, &endpoint.url))
        else {
            return;
        };
        // The timeline shows the step once, for the first of several members.
        let is_first = self.provider(roles::APISERVER_PORT).is_some_and(|first| first.id == planned.id);
        if is_first {
            self.emit(Event::Started { instance: BOOTSTRAP_POLICY.into() });
        }
        // After a restart the API server has already begun to create them itself.
        let restarts =
            self.reducer.borrow().instances().find(|(id, ..)| *id == planned.id).map(|(.., restarts, _)| restarts);
        let may_create = restarts.unwrap_or_default() == 0 && has_default_roles(&planned.instance.plan);
        let policy = timeout_at(deadline, api.ensure_bootstrap_policy(may_create));
        tokio::select! {
            result = policy => if result.is_err() { return },
            () = self.readiness.wait(&ready) => {}
        }
        if is_first {
            self.emit(Event::Ready { instance: BOOTSTRAP_POLICY.into() });
        }
    }

    /// Creates the objects that pods in the namespace `default` need: its service account, and the
    /// ConfigMap with the cluster's CA certificate, which is mounted into each pod.
    /// kube-controller-manager creates them in every namespace, but only after some 160 other
    /// requests, when all its controllers have an identity. It keeps existing ones.
    pub(super) async fn create_default_namespace(&self, until: Option<Time>) -> Result<(), ApiError> {
        let Some(api) = self.api()? else { return Ok(()) };
        let deadline = self.deadline(until);
        self.emit(Event::Started { instance: DEFAULT_NAMESPACE.into() });
        let ca = read_ca(&self.boot().environment)?;
        apply_all(&api, &[default_namespace(&ca)], deadline).await?;
        self.emit(Event::Ready { instance: DEFAULT_NAMESPACE.into() });
        Ok(())
    }

    /// Emits the planned instances and steps of this boot, for the timeline.
    pub(super) fn emit_planned(&self) {
        for planned in self.instances() {
            let instance = &planned.instance;
            self.emit(Event::Planned {
                instance: instance.instance.clone(),
                component: instance.component.clone(),
                phase: instance.phase.to_string(),
                waits_for: instance.waits_for().map(|at| at.role.to_string()).collect(),
            });
        }
        for (step, _, waits_for) in STEPS.iter().filter(|(_, role, _)| self.provider(role).is_some()) {
            self.emit(Event::Planned {
                instance: (*step).into(),
                component: String::new(),
                phase: "Host".into(),
                waits_for: waits_for.iter().map(|role| (*role).into()).collect(),
            });
        }
    }
}

/// Whether the API server has the default features of its version. Other features add or remove
/// bootstrap roles.
fn has_default_roles(plan: &Plan) -> bool {
    let mut args = plan.processes.iter().flat_map(|process| &process.args);
    !args.any(|arg| arg.starts_with("--feature-gates") || arg.starts_with("--emulat"))
}

/// The objects of the namespace `default`. `ca`: PEM. Names and keys are those of
/// kube-controller-manager's serviceaccount and root-ca-certificate-publisher controllers.
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
    use kubernix_core::Process;

    #[test]
    fn feature_gates_and_emulated_versions_change_the_roles() {
        for (arg, default) in [("--v=1", true), ("--feature-gates=A=false", false), ("--emulated-version=1.35", false)]
        {
            let mut plan = Plan::default();
            plan.process(Process::new("kube-apiserver", "/bin/x").args(["--profiling=false", arg])).unwrap();
            assert_eq!(has_default_roles(&plan), default, "{arg}");
        }
    }

    #[test]
    fn the_config_map_contains_the_unchanged_ca() {
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let manifest = default_namespace(pem);
        let (account, root) = manifest.yaml.split_once("\n---\n").unwrap();
        let root: serde_json::Value = serde_json::from_str(root).unwrap();
        assert_eq!(root["data"]["ca.crt"], pem);
        assert_eq!(root["metadata"]["name"], "kube-root-ca.crt");
        assert!(account.contains(r#""kind":"ServiceAccount""#) && account.contains(r#""name":"default""#), "{account}");
    }
}
