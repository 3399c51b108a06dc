//! Caught by `plan-answers`: it panics in `plan`.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, _: &Context<'_>, _: &mut Planner<'_>) -> Result<()> {
        panic!("on purpose")
    }
}

sample!(Sample);
