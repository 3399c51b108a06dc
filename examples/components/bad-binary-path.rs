//! Caught by `binaries-named`: it names a binary by its path.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, plan);

    fn binaries(&self) -> Vec<Binary> {
        vec!["sample".into(), "/usr/bin/sample".into()]
    }
}

sample!(Sample);
