//! Caught by `parameters-guarded`: it panics on an unexpected value of a parameter.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("workers", "2", "number of threads")]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let workers: u8 = ctx.parameter("workers")?.parse().expect("a number");
        complete(ctx, plan, |process| process.flags([("workers", workers.to_string())]))
    }
}

sample!(Sample);
