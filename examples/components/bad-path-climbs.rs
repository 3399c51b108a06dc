//! Caught by `paths-inside`: it leaves its directory by `..`.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.file(format!("{}/../other/sample.conf", ctx.dir()?), "")?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
