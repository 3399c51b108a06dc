//! Caught by `describe-answers`: it panics in `name`.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(phase, provides, binaries, plan);

    fn name(&self) -> &str {
        panic!("on purpose")
    }
}

sample!(Sample);
