//! Caught by `describe-answers`: it never returns from `phase`.

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
