//! Caught by `describe-stable`: its title is different each time.

use kubernix_samples::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The sample.
#[derive(Default)]
pub struct Sample {
    asked: AtomicUsize,
}

impl Component for Sample {
    says!(name, phase, provides, binaries, plan);

    fn title(&self) -> &str {
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { "Sample" } else { "sample" }
    }
}

sample!(Sample::default());
