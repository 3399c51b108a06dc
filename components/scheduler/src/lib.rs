//! The kube-scheduler component: fills `scheduler`.
//!
//! It knows that program's flags and config file, and must not know which component fills
//! `apiserver-port`.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    quote, roles,
};
use std::time::Duration;

/// Health and metrics, only inside the sandbox.
const PORT: u16 = 10259;

/// kube-scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scheduler;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Scheduler)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Scheduler);

impl Component for Scheduler {
    fn name(&self) -> &str {
        "scheduler"
    }

    fn phase(&self) -> Phase {
        Phase::CONTROLLER
    }

    fn scope(&self) -> Scope {
        Scope::CONTROL_PLANE
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::SCHEDULER.into()]
    }

    // The API serves everything that it needs before it is ready.
    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER_PORT)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["kube-scheduler".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "1", "verbosity of the log").number(0..=10),
            Parameter::new("feature-gates", "", "feature gates: `NAME=true,OTHER=false`"),
            Parameter::new("extra-args", "", "further arguments of kube-scheduler, quoted as in a shell").words(),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let config = format!("{}/config.yaml", ctx.dir()?);
        let (kubeconfig, tls) = (ctx.kubeconfig("scheduler")?, ctx.identity("scheduler")?);
        plan.file(&config, config_file(&kubeconfig, ctx.members()?.len() > 1))?;

        let mut flags = vec![
            ("config", config),
            ("authentication-kubeconfig", kubeconfig.clone()),
            ("authorization-kubeconfig", kubeconfig),
            ("client-ca-file", ctx.host_file("ca.crt")?),
            ("requestheader-client-ca-file", ctx.host_file("front-proxy-ca.crt")?),
            ("bind-address", "127.0.0.1".into()),
            ("secure-port", PORT.to_string()),
            // Without a certificate it creates a self-signed RSA one at each start, which no client
            // can verify.
            ("tls-cert-file", tls.cert),
            ("tls-private-key-file", tls.key),
            ("v", ctx.parameter("log-level")?),
        ];
        let gates = ctx.parameter("feature-gates")?;
        if !gates.is_empty() {
            flags.push(("feature-gates", gates));
        }
        let process = Process::new(roles::SCHEDULER, ctx.executable("kube-scheduler")?)
            .flags(flags)
            .args(ctx.words("extra-args")?)
            // It has no state of its own.
            .stop(Signal::TERM, Duration::from_secs(1));
        plan.process(process)?;
        let url = format!("https://127.0.0.1:{PORT}");
        plan.provide(roles::SCHEDULER, &url, Probe::http(format!("{url}/livez")))
    }
}

/// A file rather than flags, so that users can edit profiles and plugins. The default limit of 50
/// requests a second would delay thousands of pods; the controller manager has the same limits as
/// here.
fn config_file(kubeconfig: &str, elects: bool) -> String {
    format!(
        "\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: {kubeconfig}
  qps: 500
  burst: 1000
leaderElection:
  leaderElect: {elects}
enableProfiling: false
",
        kubeconfig = quote(kubeconfig)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_testkit::{FakeContext, assert_pure, file, plan};

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn special_characters_in_the_kubeconfigs_path_are_quoted() {
        let plan = assert_pure(&component(), &FakeContext::new().root("/r\"x"));
        let config = file(&plan, "/control/scheduler/config.yaml");
        assert!(config.contains(r#"kubeconfig: "/r\"x/kubeconfig/scheduler.kubeconfig""#), "{config}");
        assert!(plan.processes[0].args.contains(&format!("--config={}", plan.files[0].path)));
    }

    #[test]
    fn it_starts_when_the_port_opens() {
        assert_eq!(Scheduler.requires(), [Requirement::ready(roles::APISERVER_PORT)]);
        let plan = assert_pure(&component(), &FakeContext::new());
        assert_eq!(plan.provides[0].probe, Probe::http("https://127.0.0.1:10259/livez"));
    }

    #[test]
    fn parameters_reach_the_flags() {
        let ctx = FakeContext::new().parameter("feature-gates", "A=true").parameter("extra-args", "--vmodule=a=1");
        let args = assert_pure(&component(), &ctx).processes[0].args.clone();
        assert!(args.contains(&"--feature-gates=A=true".to_owned()), "{args:#?}");
        assert_eq!(args.last().map(String::as_str), Some("--vmodule=a=1"));
        let error = plan(&component(), &FakeContext::new().parameter("log-level", "-1")).unwrap_err();
        assert!(error.to_string().contains("`log-level` is `-1`"), "{error}");
    }
}
