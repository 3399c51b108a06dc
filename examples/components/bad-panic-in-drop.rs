//! Caught by `drop-contained`: it panics when it is dropped.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Drop for Sample {
    fn drop(&mut self) {
        panic!("on purpose")
    }
}

impl Component for Sample {
    says!(name, phase, provides, binaries, plan);
}

sample!(Sample);
