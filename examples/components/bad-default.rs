//! Caught by `defaults-accepted`: it rejects its parameter's own default.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("workers", "auto", "number of threads")]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        ctx.parameter_as::<u8>("workers")?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
