//! Caught by `paths-inside`: it writes into the host's /etc.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.file("/etc/sample.conf", "")?;
        complete(ctx, plan, |process| process)
    }
}

sample!(Sample);
