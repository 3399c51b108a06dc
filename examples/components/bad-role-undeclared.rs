//! Caught by `roles-filled`: it fills a role that it doesn't declare.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let url = format!("http://{}:8080", ctx.control_plane_ip()?);
        plan.provide("other", &url, Probe::http(&url))?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
