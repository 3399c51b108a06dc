//! Caught by `stop-bounded`: it has a grace of an hour.

use kubernix_samples::*;
use std::time::Duration;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        complete(ctx, plan, |process| process.stop(Signal::TERM, Duration::from_secs(3_600)))
    }
}

sample!(Sample);
