//! Caught by `roles-filled`: it doesn't fill the role that it declares.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(process(ctx)?)
    }
}

sample!(Sample);
