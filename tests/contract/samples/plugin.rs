//! A sample component, built for every age of the contract. It calls everything that its age has
//! and logs the results. Additions of grown ages are named `extra_N`, behind the feature `grownN`.
//! It must not know the age of its host.

use kubernix_core::{Binary, Component, Context, Phase, Planner, Probe, Process, Result, Role};

/// The component.
pub struct Sample;

impl Component for Sample {
    fn name(&self) -> &str {
        env!("CARGO_PKG_NAME")
    }

    fn phase(&self) -> Phase {
        // No host knows this number: phases are an open set.
        Phase(600)
    }

    fn provides(&self) -> Vec<Role> {
        vec!["sample".into()]
    }

    fn binaries(&self) -> Vec<Binary> {
        vec!["sample".into()]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        log::info!(target: "sample", "planned for {}", ctx.cluster()?);
        plan.process(Process::new("sample", ctx.executable("sample")?).arg(ctx.node()?.name))?;
        plan.provide("sample", "", Probe::started())?;
        #[cfg(feature = "grown1")]
        {
            plan.extra_1(&ctx.extra_1())?;
            log::info!(target: "sample", "log 1: {:?}", kubernix_core::abi::extra_1_of_host());
        }
        #[cfg(feature = "grown2")]
        {
            plan.extra_2(&ctx.extra_2())?;
            log::info!(target: "sample", "log 2: {:?}", kubernix_core::abi::extra_2_of_host());
        }
        Ok(())
    }

    #[cfg(feature = "grown1")]
    fn extra_1(&self) -> String {
        "own".into()
    }

    #[cfg(feature = "grown2")]
    fn extra_2(&self) -> String {
        "own".into()
    }
}
