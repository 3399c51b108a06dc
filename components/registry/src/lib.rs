//! The registry component: CNCF Distribution, which fills the role `registry`. The host pushes to
//! it at an address of its own loopback, and nodes pull from it under the same name.
//!
//! It knows Distribution's configuration, and nothing of its clients: the host carries connections
//! in, and tells runtimes.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope, Signal,
    quote, roles,
};
use std::time::Duration;

/// Levels that Distribution's log has.
const LOG_LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

/// CNCF Distribution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl Registry {
    /// The component, ready for a host.
    pub fn component() -> Handle {
        kubernix_core::abi::component(Self)
    }
}

/// The component of this crate, ready for a host.
pub fn component() -> Handle {
    Registry::component()
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
        // It serves a host that pushes as well, which needs no cluster for that.
        vec![Requirement::ready(roles::SANDBOX)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["registry".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("log-level", "info", "how much it logs").choice(&LOG_LEVELS)]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let config = format!("{}/config.yml", ctx.dir()?);
        plan.directory(data(ctx)?)?;
        plan.file(&config, configuration(ctx)?)?;
        let process = Process::new("registry", ctx.executable("registry")?)
            .arg("serve")
            .arg(config)
            // Without this it looks for a collector of traces on this host.
            .env("OTEL_TRACES_EXPORTER", "none")
            .stop(Signal::TERM, Duration::from_secs(10));
        plan.process(process)?;
        plan.manifest("local registry", hosting(ctx)?)?;
        let url = format!("http://{}", ctx.registry_address()?);
        let probe = Probe::http(format!("{url}/v2/"));
        plan.provide(roles::REGISTRY, url, probe)
    }
}

/// Where images lie: with the cluster, so that they outlive a stop.
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

/// Tells tools that build images where to push them: KEP-1755.
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
        kubernix_testkit::kit::assert_conforms(Registry::component);
    }

    #[test]
    fn it_listens_where_the_host_planned_and_keeps_its_data_with_the_cluster() {
        let ctx = FakeContext::new().address("registry", "10.7.0.1:5000").root("/r");
        let plan = assert_pure(&Registry::component(), &ctx);
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
    fn tools_are_told_the_name_that_host_and_nodes_share() {
        let ctx = FakeContext::new().address("registry-name", "127.0.0.1:5003");
        let plan = assert_pure(&Registry::component(), &ctx);
        let yaml = &plan.manifests[0].yaml;
        assert!(yaml.contains("host: \"127.0.0.1:5003\"") && yaml.contains("namespace: kube-public"), "{yaml}");
    }

    #[test]
    fn a_level_that_the_log_does_not_have_is_named() {
        let error = plan(&Registry::component(), &FakeContext::new().parameter("log-level", "loud")).unwrap_err();
        assert_eq!(error.to_string(), "parameter `log-level` is `loud`: use one of debug, info, warn, error");
    }
}
