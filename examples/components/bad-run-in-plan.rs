//! Caught by `plan-runs-nothing`: it runs a program in `plan`, to get a version.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        ctx.run(&Command::new(ctx.executable("sample")?, ["--version"]))?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
