//! Caught by `nothing`: it is right in every way, and uses what the contract offers.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides);

    fn binaries(&self) -> Vec<String> {
        vec!["sample".into(), "import".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("workers", "2", "how many threads it has, 0 to 255")]
    }

    fn before_stop(&self, ctx: &Context<'_>) -> Result<()> {
        ctx.run(&Command::new(ctx.executable("sample")?, ["flush"])).map(|_| ())
    }

    fn import_image(&self, ctx: &Context<'_>, archive: &str, name: &str) -> Result<Option<Command>> {
        Ok(Some(Command::new(ctx.executable("import")?, ["--", archive, name])))
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let workers: u8 = ctx.parameter_as("workers")?;
        let config = format!("{}/sample.conf", ctx.dir());
        plan.file(&config, format!("workers = {workers}\n"))?;
        complete(ctx, plan, |process| process.flags([("config", config)]))
    }
}

sample!(Sample);
