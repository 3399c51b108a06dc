//! Caught by `programs-known`: it runs a program of the host.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(Process::new("helper", "/usr/bin/helper"))?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
