//! Caught by `stop-twice`: it can be stopped only once.

use kubernix_samples::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sample.
#[derive(Default)]
pub struct Sample {
    stopped: AtomicBool,
}

impl Component for Sample {
    says!(name, phase, provides, binaries, plan);

    fn before_stop(&self, _: &Context<'_>) -> Result<()> {
        if self.stopped.swap(true, Ordering::SeqCst) { Err(Error::invalid("it was stopped already")) } else { Ok(()) }
    }
}

sample!(Sample::default());
