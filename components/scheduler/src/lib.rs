//! The kube-scheduler component: fills `scheduler`.
//!
//! It knows that program's flags and config file; the API is whatever fills `apiserver-port`.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    quote, roles,
};
use std::time::Duration;

/// Health and metrics, inside of the sandbox only.
const PORT: u16 = 10259;

/// kube-scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scheduler;

impl Scheduler {
    /// The component, ready for a host.
    pub fn component() -> Handle {
        kubernix_core::abi::component(Self)
    }
}

/// The component of this crate, ready for a host.
pub fn component() -> Handle {
    Scheduler::component()
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

    // All that it asks of the API is there before the API is ready.
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
            // Without a certificate it creates an RSA one at each start, which no client can
            // verify.
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
            // It keeps nothing of its own.
            .stop(Signal::TERM, Duration::from_secs(1));
        plan.process(process)?;
        let url = format!("https://127.0.0.1:{PORT}");
        plan.provide(roles::SCHEDULER, &url, Probe::http(format!("{url}/livez")))
    }
}

/// A file and not flags, so that people who work on scheduling can edit profiles and plugins. By
/// default it asks no more than 50 times a second, and thousands of pods would wait for that; the
/// controller manager has the same limits.
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
        kubernix_testkit::kit::assert_conforms(Scheduler::component);
    }

    #[test]
    fn the_config_names_the_kubeconfig_whatever_characters_it_has() {
        let plan = assert_pure(&Scheduler::component(), &FakeContext::new().root("/r\"x"));
        let config = file(&plan, "/control/scheduler/config.yaml");
        assert!(config.contains(r#"kubeconfig: "/r\"x/kubeconfig/scheduler.kubeconfig""#), "{config}");
        assert!(plan.processes[0].args.contains(&format!("--config={}", plan.files[0].path)));
    }

    #[test]
    fn it_starts_when_the_port_opens() {
        assert_eq!(Scheduler.requires(), [Requirement::ready(roles::APISERVER_PORT)]);
        let plan = assert_pure(&Scheduler::component(), &FakeContext::new());
        assert_eq!(plan.provides[0].probe, Probe::http("https://127.0.0.1:10259/livez"));
    }

    #[test]
    fn parameters_reach_the_flags() {
        let ctx = FakeContext::new().parameter("feature-gates", "A=true").parameter("extra-args", "--vmodule=a=1");
        let args = assert_pure(&Scheduler::component(), &ctx).processes[0].args.clone();
        assert!(args.contains(&"--feature-gates=A=true".to_owned()), "{args:#?}");
        assert_eq!(args.last().map(String::as_str), Some("--vmodule=a=1"));
        let error = plan(&Scheduler::component(), &FakeContext::new().parameter("log-level", "-1")).unwrap_err();
        assert!(error.to_string().contains("`log-level` is `-1`"), "{error}");
    }
}
