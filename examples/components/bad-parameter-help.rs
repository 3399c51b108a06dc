//! Caught by `parameters-explained`: its parameter has no help.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries, plan);

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("mode", "fast", "")]
    }
}

sample!(Sample);
