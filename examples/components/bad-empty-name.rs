//! Caught by `describe-valid`: its name is empty.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(phase, provides, binaries, plan);

    fn name(&self) -> &str {
        ""
    }
}

sample!(Sample);
