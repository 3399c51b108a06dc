//! Caught by `asks-declared`: it runs a binary that it doesn't declare.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let helper = ctx.executable("helper")?;
        plan.process(Process::new("helper", helper))?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
