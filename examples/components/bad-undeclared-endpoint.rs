//! Caught by `asks-declared`: it uses the endpoint of a role that it doesn't require.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let api = ctx.endpoint("apiserver")?;
        complete(ctx, plan, |process| process.flags([("api", api)]))
    }
}

sample!(Sample);
