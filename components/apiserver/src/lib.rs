//! The kube-apiserver component: fills `apiserver-port` once TLS connections are accepted, and
//! `apiserver` once `/readyz` returns ok.
//!
//! It knows the API server's flags, and must not know which component fills `datastore`.

mod flags;

use flags::flags;
use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    roles,
};
use std::time::Duration;

/// The port of the API, on every address of its network namespace.
const PORT: u16 = 6443;

/// kube-apiserver.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApiServer;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(ApiServer)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(ApiServer);

impl Component for ApiServer {
    fn name(&self) -> &str {
        "apiserver"
    }

    fn phase(&self) -> Phase {
        Phase::CONTROL_PLANE
    }

    fn scope(&self) -> Scope {
        Scope::CONTROL_PLANE
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::APISERVER_PORT.into(), roles::APISERVER.into()]
    }

    // It starts in parallel with the store: it needs more than a second before its first request to
    // the store, and then waits for it.
    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::SANDBOX), Requirement::known(roles::DATASTORE)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["kube-apiserver".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("log-level", "1", "verbosity of the log").number(0..=10),
            Parameter::new("feature-gates", "", "feature gates: `NAME=true,OTHER=false`"),
            Parameter::new("runtime-config", "", "API groups to turn on or off: `api/alpha=true`"),
            Parameter::new("extra-args", "", "further arguments of kube-apiserver, quoted as in a shell").words(),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let url = format!("https://{}:{PORT}", ctx.control_plane_ip()?);
        let process = Process::new(roles::APISERVER, ctx.executable("kube-apiserver")?)
            .flags(flags(ctx)?)
            .args(ctx.words("extra-args")?)
            // All data is in the store, and open watches needn't end.
            .stop(Signal::TERM, Duration::from_secs(3));
        plan.process(process)?;
        // Not by TCP: it listens a second before it serves requests. `/version` returns 200 as soon
        // as TLS is served.
        plan.provide(roles::APISERVER_PORT, &url, Probe::http(format!("{url}/version")).identity("admin"))?;
        plan.provide(roles::APISERVER, &url, Probe::http(format!("{url}/readyz")).identity("admin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_testkit::{FakeContext, assert_pure, plan};

    fn args(ctx: &FakeContext) -> Vec<String> {
        assert_pure(&component(), ctx).processes[0].args.clone()
    }

    fn assert_has(args: &[String], wanted: &[&str]) {
        for wanted in wanted {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} is not in {args:#?}");
        }
    }

    #[test]
    fn it_conforms() {
        kubernix_testkit::kit::assert_conforms(component);
    }

    #[test]
    fn it_starts_in_parallel_with_the_store() {
        let wanted = [Requirement::ready(roles::SANDBOX), Requirement::known(roles::DATASTORE)];
        assert_eq!(ApiServer.requires(), wanted);
    }

    #[test]
    fn the_port_is_a_role_of_its_own() {
        let ctx = FakeContext::new().address("control-plane", "10.7.0.1");
        let provides = assert_pure(&component(), &ctx).provides;
        assert_eq!(provides[0].probe, Probe::http("https://10.7.0.1:6443/version").identity("admin"));
        assert_eq!(provides[1].probe, Probe::http("https://10.7.0.1:6443/readyz").identity("admin"));
        assert!(provides.iter().all(|endpoint| endpoint.url == "https://10.7.0.1:6443"));
    }

    #[test]
    fn addresses_and_certificates_come_from_the_context() {
        let ctx = FakeContext::new().root("/r").address("control-plane", "10.7.0.1").address("services", "10.7.8.0/24");
        let wanted = [
            "--advertise-address=10.7.0.1",
            "--service-cluster-ip-range=10.7.8.0/24",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--client-ca-file=/r/pki/ca.crt",
            "--tls-cert-file=/r/pki/apiserver.crt",
            "--etcd-servers=https://10.10.192.1:2379",
            "--etcd-cafile=/r/pki/etcd-ca.crt",
            "--etcd-certfile=/r/pki/apiserver-etcd-client.crt",
            "--requestheader-client-ca-file=/r/pki/front-proxy-ca.crt",
            "--proxy-client-key-file=/r/pki/front-proxy-client.key",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            "--encryption-provider-config=/r/pki/encryption.yaml",
        ];
        assert_has(&args(&ctx), &wanted);
    }

    #[test]
    fn a_store_without_tls_needs_no_certificate() {
        let args = args(&FakeContext::new().endpoint(roles::DATASTORE, "http://127.0.0.1:2379"));
        assert_has(&args, &["--etcd-servers=http://127.0.0.1:2379"]);
        assert!(!args.iter().any(|arg| arg.starts_with("--etcd-certfile")), "{args:#?}");
    }

    #[test]
    fn parameters_reach_the_flags() {
        let none = args(&FakeContext::new());
        assert!(!none.iter().any(|arg| arg.contains("feature-gates") || arg.contains("runtime-config")), "{none:#?}");
        let ctx = FakeContext::new()
            .parameter("log-level", "6")
            .parameter("feature-gates", "A=true")
            .parameter("runtime-config", "api/alpha=true")
            .parameter("extra-args", "--profiling=true --goaway-chance=0.1");
        let set = args(&ctx);
        assert_has(&set, &["--v=6", "--feature-gates=A=true", "--runtime-config=api/alpha=true"]);
        assert_eq!(set[set.len() - 2..], ["--profiling=true", "--goaway-chance=0.1"]);
    }

    #[test]
    fn an_invalid_log_level_is_rejected() {
        let error = plan(&component(), &FakeContext::new().parameter("log-level", "loud")).unwrap_err();
        assert!(error.to_string().contains("`log-level` is `loud`"), "{error}");
    }
}
