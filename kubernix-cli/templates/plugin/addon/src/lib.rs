//! The component `__NAME__` of a KuberNix cluster: creates a ConfigMap, and is ready once the API
//! server has it.
//!
//! A component is a pure function of its context: it returns a plan (files, processes, objects,
//! probes), which KuberNix executes. It must not touch the machine itself.

use kubernix_core::{
    Component, Context, Parameter, Phase, Planner, Probe, Requirement, Result, Role, export_component, quote, roles,
};

/// The component.
#[derive(Debug, Clone, Copy, Default)]
pub struct __TYPE__;

impl Component for __TYPE__ {
    fn name(&self) -> &str {
        "__NAME__"
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    // A role is a slot of the cluster. This plugin defines a new one, which other components can
    // require.
    fn provides(&self) -> Vec<Role> {
        vec!["__ROLE__".into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER)]
    }

    // kubernix up --set __NAME__.greeting=...
    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("greeting", "hello", "what the ConfigMap says")]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let greeting = format!("{} from {}", ctx.parameter("greeting")?, ctx.cluster()?);
        plan.manifest("__NAME__", config_map(&greeting))?;
        // To run a program, name it in `binaries`, here and in the manifest, and add a process:
        // plan.process(Process::new("__NAME__", ctx.executable("__NAME__")?).arg("--verbose"))?;
        let object = format!("{}/api/v1/namespaces/default/configmaps/__NAME__", ctx.endpoint(roles::APISERVER)?);
        plan.provide("__ROLE__", "", Probe::http(object).identity("admin"))
    }
}

fn config_map(greeting: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: __NAME__
  namespace: default
data:
  greeting: {greeting}
",
        greeting = quote(greeting),
    )
}

export_component!(__TYPE__);

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::abi;
    use kubernix_testkit::kit::assert_conforms;
    use kubernix_testkit::{FakeContext, assert_pure};

    #[test]
    fn it_conforms() {
        assert_conforms(|| abi::component(__TYPE__));
    }

    #[test]
    fn the_greeting_reaches_the_cluster() {
        let ctx = FakeContext::new().cluster("mine").parameter("greeting", "good \"day\"");
        let plan = assert_pure(&abi::component(__TYPE__), &ctx);
        let yaml = &plan.manifests[0].yaml;
        assert!(yaml.ends_with("greeting: \"good \\\"day\\\" from mine\"\n"), "{yaml}");
    }

    #[test]
    fn it_is_ready_once_the_api_server_has_the_object() {
        let plan = assert_pure(&abi::component(__TYPE__), &FakeContext::new());
        let object = "https://10.10.192.1:6443/api/v1/namespaces/default/configmaps/__NAME__";
        assert_eq!(plan.provides[0].probe, Probe::http(object).identity("admin"));
    }

    #[test]
    fn the_manifest_has_the_version_of_the_crate() {
        let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(include_str!("../__NAME__.toml").lines().any(|line| line == version), "no {version}");
    }
}
