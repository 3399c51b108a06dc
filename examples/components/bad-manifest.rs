//! Caught by `manifest-true`: its manifest names another role and another version.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries, plan);
}

sample!(Sample);
