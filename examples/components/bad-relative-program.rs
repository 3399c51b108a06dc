//! Caught by `programs-known`: its program has no absolute path.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(Process::new("helper", "helper"))?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
