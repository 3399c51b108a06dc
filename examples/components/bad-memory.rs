//! Caught by `context-not-remembered`: it keeps the name of the first cluster that it sees.

use kubernix_samples::*;
use std::sync::OnceLock;

/// The sample.
#[derive(Default)]
pub struct Sample {
    cluster: OnceLock<String>,
}

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let now = ctx.cluster()?;
        let cluster = self.cluster.get_or_init(|| now);
        complete(ctx, plan, |process| process.arg(format!("--cluster={cluster}")))
    }
}

sample!(Sample::default());
