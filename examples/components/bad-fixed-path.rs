//! Caught by `paths-from-context`: its data has the same path for all clusters.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        complete(ctx, plan, |process| process.arg("--state=/var/lib/sample"))
    }
}

sample!(Sample);
