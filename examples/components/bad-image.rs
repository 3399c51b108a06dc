//! Caught by `extras-named`: its image has no name.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.image("")?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
