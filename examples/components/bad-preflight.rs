//! Caught by `preflight-answers`: its finding has no message.

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
