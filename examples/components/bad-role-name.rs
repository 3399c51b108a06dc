//! Caught by `describe-valid`: its role can't be a role's name.

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
