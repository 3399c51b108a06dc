//! Caught by `stop-bounded`: nothing ever ends by its stop signal.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        complete(ctx, plan, |process| process.stop(0, 5_000))
    }
}

sample!(Sample);
