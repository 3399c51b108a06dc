//! Caught by `processes-named`: two processes have one name.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(process(ctx)?)?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
