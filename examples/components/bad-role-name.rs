//! Caught by `describe-valid`: its role isn't a DNS label.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, binaries, plan);

    fn provides(&self) -> Vec<Role> {
        vec!["Sample Role".into()]
    }
}

sample!(Sample);
