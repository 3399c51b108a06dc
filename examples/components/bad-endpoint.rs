//! Caught by `endpoints-valid`: its endpoint isn't a URL.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let ip = ctx.control_plane_ip()?;
        plan.process(process(ctx)?)?;
        plan.provide("sample", format!("{ip}:8080"), Probe::http(format!("http://{ip}:8080/healthz")))
    }
}

sample!(Sample);
