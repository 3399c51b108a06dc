//! Caught by `stop-bounded`: its stop signal doesn't end a process.

use kubernix_samples::*;
use std::time::Duration;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        complete(ctx, plan, |process| process.stop(Signal(0), Duration::from_secs(5)))
    }
}

sample!(Sample);
