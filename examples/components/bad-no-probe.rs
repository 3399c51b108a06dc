//! Caught by `probes-ask`: it counts as ready as soon as its process runs.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(process(ctx)?)?;
        plan.provide("sample", format!("http://{}:8080", ctx.control_plane_ip()?), Probe::started())
    }
}

sample!(Sample);
