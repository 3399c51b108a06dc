//! The metrics-server component: fills `metrics`, the aggregated API for `kubectl top` and
//! autoscalers.
//!
//! It knows metrics-server's flags. The host builds its image, which has only the program.

use kubernix_core::abi::Handle;
use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Requirement, Result, Role, quote, roles,
};

/// Built here, never pulled.
const IMAGE: &str = "kubernix.local/metrics-server:local";
const MANIFEST: &str = include_str!("metrics-server.yaml");

/// metrics-server.
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsServer;

/// The component of this crate, wrapped for a host.
pub fn component() -> Handle {
    kubernix_core::abi::component(MetricsServer)
}

#[cfg(feature = "plugin")]
kubernix_core::export_component!(MetricsServer);

impl Component for MetricsServer {
    fn name(&self) -> &str {
        "metrics-server"
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    fn provides(&self) -> Vec<Role> {
        vec![roles::METRICS.into()]
    }

    fn requires(&self) -> Vec<Requirement> {
        vec![Requirement::ready(roles::APISERVER)]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["metrics-server".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            // The minimum that metrics-server accepts.
            Parameter::new("resolution", "10", "seconds between two measurements of pods").number(10..=65_535),
        ]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let binary = ctx.executable("metrics-server")?;
        let parts = [("program /metrics-server", &*binary), ("entrypoint", "/metrics-server"), ("user", "65532:65532")];
        plan.build(IMAGE, parts)?;
        let resolution = ctx.parameter("resolution")?;
        let yaml = MANIFEST
            .replace("$IMAGE", IMAGE)
            .replace("$BINARY", &quote(&binary))
            .replace("$RESOLUTION", &resolution.to_string());
        plan.manifest("metrics-server", yaml)?;
        plan.provide(roles::METRICS, "", Probe::manifests())
    }
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
    fn kubelets_are_verified_with_the_clusters_ca() {
        let planned = assert_pure(&component(), &FakeContext::new());
        let yaml = &planned.manifests[0].yaml;
        assert!(
            yaml.contains("--kubelet-certificate-authority=/ca/ca.crt") && !yaml.contains("kubelet-insecure"),
            "{yaml}"
        );
        assert!(yaml.contains("--metric-resolution=10s") && !yaml.contains('$'), "{yaml}");
        let wrong = plan(&component(), &FakeContext::new().parameter("resolution", "5")).unwrap_err();
        assert!(wrong.to_string().contains("`resolution` is `5`"), "{wrong}");
    }
}
