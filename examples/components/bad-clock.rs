//! Caught by `plan-same`: its plan depends on the time of day.

use kubernix_samples::*;
use std::time::SystemTime;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let now = SystemTime::now();
        complete(ctx, plan, |process| process.arg(format!("--started={now:?}")))
    }
}

sample!(Sample);
