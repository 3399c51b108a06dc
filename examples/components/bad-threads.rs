//! Caught by `plan-threads`: it fails while another thread is in `plan`.

use kubernix_samples::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sample.
#[derive(Default)]
pub struct Sample {
    busy: AtomicBool,
}

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::invalid("another thread is planning"));
        }
        let planned = complete(ctx, plan, |process| process);
        self.busy.store(false, Ordering::SeqCst);
        planned
    }
}

sample!(Sample::default());
