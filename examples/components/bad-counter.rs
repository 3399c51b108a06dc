//! Caught by `plan-same`: its plan is different each time.

use kubernix_samples::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The sample.
#[derive(Default)]
pub struct Sample {
    plans: AtomicUsize,
}

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let number = self.plans.fetch_add(1, Ordering::Relaxed);
        complete(ctx, plan, |process| process.arg(format!("--generation={number}")))
    }
}

sample!(Sample::default());
