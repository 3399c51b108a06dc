//! Caught by `probe-targets-own`: its probe connects to a server on the internet.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(process(ctx)?)?;
        let url = format!("http://{}:8080", ctx.control_plane_ip()?);
        plan.provide("sample", &url, Probe::http("http://192.0.2.1:80/healthz"))
    }
}

sample!(Sample);
