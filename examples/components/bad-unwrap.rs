//! Caught by `errors-contained`: it panics if its host fails.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let admin = ctx.kubeconfig("admin").expect("there is always an admin");
        complete(ctx, plan, |process| process.flags([("kubeconfig", admin)]))
    }
}

sample!(Sample);
