//! Caught by `nothing`: it is correct, and uses most of the contract.

use kubernix_samples::*;
use std::time::Duration;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides);

    fn binaries(&self) -> Vec<Binary> {
        vec!["sample".into(), "import".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("workers", "2", "number of threads").number(0..=255)]
    }

    fn before_stop(&self, ctx: &Context<'_>) -> Result<()> {
        ctx.run(&Command::new(ctx.executable("sample")?, ["flush"])).map(|_| ())
    }

    fn import_image(&self, ctx: &Context<'_>, archive: &str, name: &str) -> Result<Option<Command>> {
        Ok(Some(Command::new(ctx.executable("import")?, ["--", archive, name])))
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let workers: u8 = ctx.parameter_as("workers")?;
        let config = format!("{}/sample.conf", ctx.dir()?);
        plan.file(&config, format!("workers = {workers}\n"))?;
        let version = ctx.version("sample")?;
        complete(ctx, plan, |process| {
            let liveness = Liveness::new(Probe::tcp("127.0.0.1:8080")).every(Duration::from_secs(5)).failures(2);
            let process = process.flags([("config", config)]).env("SAMPLE_VERSION", version).liveness(liveness);
            process.user("nobody").limit(Limit::NOFILE, 1_024)
        })
    }
}

sample!(Sample);
