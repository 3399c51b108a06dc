//! Caught by `describe-answers`: it never says which phase it belongs to.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, provides, binaries, plan);

    fn phase(&self) -> Phase {
        loop {
            std::thread::park();
        }
    }
}

sample!(Sample);
