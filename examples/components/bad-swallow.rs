//! Caught by `errors-passed-on`: it ignores a failed call to its host.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let admin = ctx.kubeconfig("admin").unwrap_or_default();
        complete(ctx, plan, |process| process.flags([("kubeconfig", admin)]))
    }
}

sample!(Sample);
