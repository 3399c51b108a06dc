//! Caught by `secrets-hidden`: it passes a key to its process as an argument.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        complete(ctx, plan, |process| process.arg("--key=-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n"))
    }
}

sample!(Sample);
