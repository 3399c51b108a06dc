//! Caught by `preflight-answers`: it finds something and doesn't say what.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries, plan);

    fn preflight(&self, _: &Context<'_>) -> Result<Vec<Finding>> {
        Ok(vec![Finding::fatal("")])
    }
}

sample!(Sample);
