//! A component that is correct unless its parameter `does` selects a defect: `panic METHOD`,
//! `garbage WHAT`, `error`, `log`. It stores the parameter, so that methods without a context can
//! fail as well.

use kubernix_core::{
    Binary, Command, Component, Context, Error, Finding, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role,
    Scope,
};
use std::sync::{Mutex, PoisonError};

/// The component.
#[derive(Default)]
pub struct Rogue(Mutex<String>);

impl Rogue {
    fn does(&self, what: &str) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == what
    }

    fn may_panic(&self, method: &str) {
        if self.does(&format!("panic {method}")) {
            panic!("the rogue panics in {method}");
        }
    }
}

impl Component for Rogue {
    fn name(&self) -> &str {
        self.may_panic("name");
        match () {
            () if self.does("garbage name") => "",
            () if self.does("garbage control") => "ro\0gue\n",
            () => "rogue",
        }
    }

    fn title(&self) -> &str {
        self.may_panic("title");
        if self.does("garbage title") { " " } else { "Rogue" }
    }

    fn phase(&self) -> Phase {
        self.may_panic("phase");
        Phase::ADDON
    }

    fn scope(&self) -> Scope {
        self.may_panic("scope");
        Scope::CLUSTER
    }

    fn provides(&self) -> Vec<Role> {
        self.may_panic("provides");
        match () {
            () if self.does("garbage roles") => Vec::new(),
            () if self.does("garbage role") => vec!["No Role".into()],
            () if self.does("garbage twice") => vec!["dns".into(), "dns".into()],
            () => vec!["dns".into()],
        }
    }

    fn requires(&self) -> Vec<Requirement> {
        self.may_panic("requires");
        let own = self.does("garbage circle");
        vec![Requirement::ready(if own { "dns" } else { "sandbox" })]
    }

    fn binaries(&self) -> Vec<Binary> {
        self.may_panic("binaries");
        vec!["rogue".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.may_panic("parameters");
        vec![Parameter::new("does", "right", "what it does wrong")]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let does = ctx.parameter("does")?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&does);
        self.may_panic("plan");
        match does.as_str() {
            "error" => return Err(Error::invalid("not a port: 70000").context("reading `port`").context("no plan")),
            "log" => {
                log::error!(target: "rogue::loud", "an error");
                log::info!(target: "rogue::usual", "for {}", ctx.cluster()?);
                log::trace!(target: "rogue::quiet", "a trace");
            }
            "garbage process" => plan.process(Process::new("two words", "/bin/true"))?,
            "garbage program" => plan.process(Process::new("rogue", "true"))?,
            "garbage path" => plan.file(format!("{}/../../passwd", ctx.dir()?), "x")?,
            "garbage again" => {
                plan.process(Process::new("rogue", "/bin/true"))?;
                plan.process(Process::new("rogue", "/bin/false"))?;
            }
            _ => {}
        }
        plan.process(Process::new("rogue", ctx.executable("rogue")?))?;
        plan.provide("dns", "", Probe::started())
    }

    fn preflight(&self, _: &Context<'_>) -> Result<Vec<Finding>> {
        self.may_panic("preflight");
        Ok(Vec::new())
    }

    fn before_stop(&self, _: &Context<'_>) -> Result<()> {
        self.may_panic("before_stop");
        Ok(())
    }

    fn import_image(&self, _: &Context<'_>, _: &str, _: &str) -> Result<Option<Command>> {
        self.may_panic("import_image");
        Ok(None)
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.may_panic("drop");
    }
}
