//! The kube-controller-manager component: fills `controller-manager`.
//!
//! It knows that program's flags, and must not know which component fills `apiserver`.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    roles,
};
use std::time::Duration;

/// The component's and the role's name.
const NAME: &str = roles::CONTROLLER_MANAGER;
/// Health and metrics, only inside the sandbox.
const PORT: u16 = 10257;

/// kube-controller-manager.
#[derive(Debug, Clone, Copy, Default)]
pub struct ControllerManager;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(ControllerManager)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(ControllerManager);

impl Component for ControllerManager {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::CONTROLLER
    }

    fn scope(&self) -> Scope {
        Scope::CONTROL_PLANE
    }

    fn provides(&self) -> Vec<Role> {
        vec![NAME.into()]
    }

    // Not `apiserver-port`: it checks whether the whole API is healthy, and retries only after a
    // second.
    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["kube-controller-manager".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "1", "verbosity of the log").number(0..=10),
            Parameter::new("feature-gates", "", "feature gates: `NAME=true,OTHER=false`"),
            Parameter::new("extra-args", "", "further arguments of kube-controller-manager, quoted as in a shell")
                .words(),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let process = Process::new(NAME, ctx.executable("kube-controller-manager")?)
            .flags(flags(ctx)?)
            .args(ctx.words("extra-args")?)
            // It has no state of its own.
            .stop(Signal::TERM, Duration::from_secs(1));
        plan.process(process)?;
        let url = format!("https://127.0.0.1:{PORT}");
        plan.provide(NAME, &url, Probe::http(format!("{url}/healthz")))
    }
}

/// Flags without dashes, with their values.
fn flags(ctx: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
    let (kubeconfig, tls) = (ctx.kubeconfig(NAME)?, ctx.identity(NAME)?);
    let (ca, ca_key) = (ctx.host_file("ca.crt")?, ctx.host_file("ca.key")?);
    let mut flags = vec![
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("client-ca-file", ca.clone()),
        ("requestheader-client-ca-file", ctx.host_file("front-proxy-ca.crt")?),
        ("bind-address", "127.0.0.1".into()),
        ("secure-port", PORT.to_string()),
        // Without a certificate it creates a self-signed RSA one at each start, which no client can
        // verify.
        ("tls-cert-file", tls.cert),
        ("tls-private-key-file", tls.key),
        ("leader-elect", (ctx.members()?.len() > 1).to_string()),
        ("cluster-name", ctx.cluster_id()?),
        ("allocate-node-cidrs", "true".into()),
        ("cluster-cidr", ctx.pods_cidr()?),
        ("node-cidr-mask-size", ctx.node_mask()?),
        ("service-cluster-ip-range", ctx.service_cidr()?),
        ("cluster-signing-cert-file", ca.clone()),
        ("cluster-signing-key-file", ca_key),
        ("root-ca-file", ca),
        ("service-account-private-key-file", ctx.host_file("service-account.key")?),
        ("use-service-account-credentials", "true".into()),
        // At its start it requests a token for each of its controllers. With the default limit of
        // 20 requests a second this takes 5 s, during which no service account and no pod can be
        // created; without a limit, 0.7 s.
        ("kube-api-qps", "500".into()),
        ("kube-api-burst", "1000".into()),
        // The default is a directory of the host.
        ("flex-volume-plugin-dir", format!("{}/flex-volume", ctx.dir()?)),
        ("profiling", "false".into()),
        ("v", ctx.parameter("log-level")?),
    ];
    let gates = ctx.parameter("feature-gates")?;
    if !gates.is_empty() {
        flags.push(("feature-gates", gates));
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_testkit::{FakeContext, assert_pure, plan};

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn ranges_and_keys_come_from_the_context() {
        let ctx = FakeContext::new()
            .root("/r")
            .fact(kubernix_core::facts::CLUSTER_ID, "one")
            .address("pods", "10.7.0.0/17")
            .address("node-mask", "25")
            .address("services", "10.7.128.0/18");
        let args = assert_pure(&component(), &ctx).processes[0].args.clone();
        for wanted in [
            "--kubeconfig=/r/kubeconfig/controller-manager.kubeconfig",
            "--cluster-name=one",
            "--cluster-cidr=10.7.0.0/17",
            "--node-cidr-mask-size=25",
            "--service-cluster-ip-range=10.7.128.0/18",
            "--cluster-signing-key-file=/r/pki/ca.key",
            "--service-account-private-key-file=/r/pki/service-account.key",
            "--flex-volume-plugin-dir=/r/control/controller-manager/flex-volume",
            "--leader-elect=false",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} is not in {args:#?}");
        }
    }

    #[test]
    fn it_waits_for_a_healthy_api() {
        assert_eq!(ControllerManager.requires(), [Requirement::ready(roles::APISERVER)]);
    }

    #[test]
    fn parameters_reach_the_flags() {
        let ctx =
            FakeContext::new().parameter("feature-gates", "A=true").parameter("extra-args", "--leader-elect=true");
        let args = assert_pure(&component(), &ctx).processes[0].args.clone();
        assert!(args.contains(&"--feature-gates=A=true".to_owned()), "{args:#?}");
        assert_eq!(args.last().map(String::as_str), Some("--leader-elect=true"));
    }

    #[test]
    fn an_invalid_log_level_is_rejected() {
        let ctx = FakeContext::new().parameter("log-level", "300");
        let error = plan(&component(), &ctx).unwrap_err();
        assert!(error.to_string().contains("`log-level` is `300`"), "{error}");
    }
}
