//! What the host itself does while a cluster boots, beside the starting of instances. Images have a
//! file of their own.

use super::Cluster;
use super::objects::apply_all;
use super::planned::Planned;
use super::reducer::{Fault, Time};
use crate::events::Event;
use kubernix_core::{Manifest, Plan, Role, roles};
use serde_json::json;
use std::fs;
use tokio::time::{Instant, timeout_at};

/// The host's own steps, as they read in the timeline.
pub(super) const PAUSE_IMAGE: &str = "pause image";
pub(super) const DEFAULT_NAMESPACE: &str = "default service account";
pub(super) const BOOTSTRAP_POLICY: &str = "bootstrap policy";
/// The same, each with the role that it can't do without, and what it waits for.
pub(super) const STEPS: &[(&str, &str, &[&str])] = &[
    (PAUSE_IMAGE, roles::CRI, &[roles::CRI]),
    (BOOTSTRAP_POLICY, roles::APISERVER_PORT, &[]),
    (DEFAULT_NAMESPACE, roles::APISERVER, &[roles::APISERVER]),
];

impl Cluster {
    /// Once an API server answers, creates RBAC's bootstrap roles so that the scheduler and
    /// kube-proxy aren't rejected: a rejected client backs off for a second. What goes wrong with
    /// that shows in the API server, which doesn't get ready.
    pub(super) async fn hasten_policy(&self, planned: &Planned, deadline: Instant) {
        let ready = planned.instance.at(&Role::new(roles::APISERVER));
        let Some(Ok(api)) = planned.endpoint(roles::APISERVER).map(|endpoint| self.api_of(planned, &endpoint.url))
        else {
            return;
        };
        let is_first = self.provider(roles::APISERVER_PORT).is_some_and(|first| first.id == planned.id);
        let say = |event: fn(String) -> Event| is_first.then(|| self.emit(event(BOOTSTRAP_POLICY.into())));
        say(|instance| Event::Started { instance });
        // One that ended has begun with it.
        let own =
            self.reducer.borrow().instances().find(|(id, ..)| *id == planned.id).map(|(.., restarts, _)| restarts);
        let may_make = own.unwrap_or_default() == 0 && has_usual_roles(&planned.instance.plan);
        let policy = timeout_at(deadline, api.ensure_bootstrap_policy(may_make));
        tokio::select! {
            done = policy => if done.is_err() { return },
            () = self.board.wait(&ready) => {}
        }
        say(|instance| Event::Ready { instance });
    }

    /// Makes what a pod of the namespace `default` can't be made or started without: its service
    /// account, and the certificate of the cluster's CA that is mounted into each pod. The
    /// controller manager makes the same in every namespace, but only once all of its controllers
    /// have an identity, some 160 requests after its start; what it finds, it keeps.
    pub(super) async fn open_default_namespace(&self, until: Option<Time>) -> Result<(), Fault> {
        let Some(api) = self.api().map_err(Fault::new)? else { return Ok(()) };
        let deadline = self.deadline(until);
        self.emit(Event::Started { instance: DEFAULT_NAMESPACE.into() });
        let boot = self.boot();
        let ca = boot.environment.files.get("ca.crt").ok_or_else(|| Fault::new("the cluster has no CA"))?;
        let ca = fs::read_to_string(ca).map_err(|error| Fault::new(format!("can't read {}: {error}", ca.display())))?;
        apply_all(&api, &[default_namespace(&ca)], deadline).await?;
        self.emit(Event::Ready { instance: DEFAULT_NAMESPACE.into() });
        Ok(())
    }

    /// Says what this boot consists of.
    pub(super) fn announce(&self) {
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

/// Whether the API server is told of no other features than its version has by default: its roles
/// are for those.
fn has_usual_roles(plan: &Plan) -> bool {
    let mut args = plan.processes.iter().flat_map(|process| &process.args);
    !args.any(|arg| arg.starts_with("--feature-gates") || arg.starts_with("--emulat"))
}

/// `ca`: PEM. Names and keys are those of kube-controller-manager's serviceaccount and
/// root-ca-certificate-publisher controllers.
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
    fn other_features_have_other_roles() {
        for (arg, usual) in [("--v=1", true), ("--feature-gates=A=false", false), ("--emulated-version=1.35", false)] {
            let mut plan = Plan::default();
            plan.process(Process::new("kube-apiserver", "/bin/x").args(["--profiling=false", arg])).unwrap();
            assert_eq!(has_usual_roles(&plan), usual, "{arg}");
        }
    }

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
