//! The registry component: CNCF Distribution, which fills the role `registry`. The host pushes to
//! an address on its own loopback, and nodes pull under the same name.
//!
//! It knows Distribution's configuration, and must not know its clients. The host forwards
//! connections into the cluster and configures the runtimes.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    quote, roles,
};
use std::time::Duration;

/// The levels of Distribution's log.
const LOG_LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

/// CNCF Distribution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(Registry)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(Registry);

impl Component for Registry {
    fn name(&self) -> &str {
        "registry"
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    fn scope(&self) -> Scope {
        Scope::CLUSTER
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::REGISTRY.into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        // It also serves the host, which can push before the cluster is ready.
        vec![Requirement::ready(roles::SANDBOX)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["registry".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("log-level", "info", "verbosity of the log").choice(&LOG_LEVELS)]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let config = format!("{}/config.yml", ctx.dir()?);
        plan.directory(data(ctx)?)?;
        plan.file(&config, configuration(ctx)?)?;
        let process = Process::new("registry", ctx.executable("registry")?)
            .arg("serve")
            .arg(config)
            // Without this it connects to a collector of traces on this host.
            .env("OTEL_TRACES_EXPORTER", "none")
            .stop(Signal::TERM, Duration::from_secs(10));
        plan.process(process)?;
        plan.manifest("local registry", hosting(ctx)?)?;
        let url = format!("http://{}", ctx.registry_address()?);
        let probe = Probe::http(format!("{url}/v2/"));
        plan.provide(roles::REGISTRY, url, probe)
    }
}

/// The directory of images, which is kept when the cluster stops.
fn data(ctx: &Context<'_>) -> Result<String> {
    Ok(format!("{}/data", ctx.dir()?))
}

fn configuration(ctx: &Context<'_>) -> Result<String> {
    let level = ctx.parameter("log-level")?;
    Ok(format!(
        "\
version: 0.1
log:
  level: {level}
  accesslog:
    disabled: {silent}
storage:
  filesystem:
    rootdirectory: {data}
  cache:
    blobdescriptor: inmemory
  delete:
    enabled: true
http:
  addr: {address}
  # Uploads that are under way end before it does.
  draintimeout: 5s
  headers:
    X-Content-Type-Options: [nosniff]
",
        silent = level != "debug",
        data = quote(&data(ctx)?),
        address = quote(&ctx.registry_address()?),
    ))
}

/// Announces the registry to tools that build images: KEP-1755.
fn hosting(ctx: &Context<'_>) -> Result<String> {
    let (plain, address) = (ctx.registry_name()?, quote(&ctx.registry_address()?));
    let name = quote(&plain);
    Ok(format!(
        "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: local-registry-hosting
  namespace: kube-public
data:
  localRegistryHosting.v1: |
    host: {name}
    hostFromContainerRuntime: {name}
    hostFromClusterNetwork: {address}
    help: \"push to {plain}/NAME, and use that name in pods\"
"
    ))
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
    fn it_listens_on_the_planned_address_and_keeps_its_data() {
        let ctx = FakeContext::new().address("registry", "10.7.0.1:5000").root("/r");
        let plan = assert_pure(&component(), &ctx);
        let config = file(&plan, "/r/control/registry/config.yml");
        for wanted in
            ["addr: \"10.7.0.1:5000\"", "rootdirectory: \"/r/control/registry/data\"", "delete:\n    enabled: true"]
        {
            assert!(config.contains(wanted), "{wanted} is not in {config}");
        }
        assert_eq!(plan.provides[0].url, "http://10.7.0.1:5000");
        assert_eq!(plan.provides[0].probe, Probe::http("http://10.7.0.1:5000/v2/"));
    }

    #[test]
    fn the_announcement_has_the_name_for_host_and_nodes() {
        let ctx = FakeContext::new().address("registry-name", "127.0.0.1:5003");
        let plan = assert_pure(&component(), &ctx);
        let yaml = &plan.manifests[0].yaml;
        assert!(yaml.contains("host: \"127.0.0.1:5003\"") && yaml.contains("namespace: kube-public"), "{yaml}");
    }

    #[test]
    fn an_invalid_log_level_is_rejected() {
        let error = plan(&component(), &FakeContext::new().parameter("log-level", "loud")).unwrap_err();
        assert_eq!(error.to_string(), "parameter `log-level` is `loud`: use one of debug, info, warn, error");
    }
}
