//! Caught by `plan-answers`: it never returns from `plan`.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, _: &Context<'_>, _: &mut Planner<'_>) -> Result<()> {
        loop {
            std::thread::park();
        }
    }
}

sample!(Sample);
