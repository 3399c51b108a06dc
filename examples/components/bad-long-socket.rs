//! Caught by `sockets-fit`: it doesn't limit the length of its socket's path.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, binaries);

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(process(ctx)?)?;
        let socket = format!("{}/{}.sock", ctx.dir()?, "s".repeat(100));
        plan.provide("sample", format!("unix://{socket}"), Probe::unix(socket))
    }
}

sample!(Sample);
