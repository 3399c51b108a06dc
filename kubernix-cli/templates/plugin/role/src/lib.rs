//! The component `__NAME__` of a KuberNix cluster: fills the role `__ROLE__` with the program
//! `__NAME__`.
//!
//! A component is a pure function of its context: it returns a plan (files, processes, probes),
//! which KuberNix executes. It must not touch the machine itself.

use kubernix_core::{
    Binary, Component, Context, Parameter, Phase, Planner, Probe, Process, Requirement, Result, Role, Scope,
    export_component,
};

/// The component.
#[derive(Debug, Clone, Copy, Default)]
pub struct __TYPE__;

impl Component for __TYPE__ {
    fn name(&self) -> &str {
        "__NAME__"
    }

    fn phase(&self) -> Phase {
        Phase::__PHASE__
    }

    fn scope(&self) -> Scope {
        Scope::__SCOPE__
    }

    fn provides(&self) -> Vec<Role> {
        [__PROVIDED__].map(Role::new).into()
    }

    // `ready` waits for a role's probe, `known` only needs its address.
    fn requires(&self) -> Vec<Requirement> {
        vec![__REQUIREMENTS__]
    }

    // Its own program first, which `--set __NAME__.binary=PATH` replaces.
    fn binaries(&self) -> Vec<Binary> {
        vec!["__NAME__".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("extra-args", "", "further arguments of __NAME__, quoted as in a shell").words()]
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        let address = format!("{}:__PORT__", ctx.__IP__);
        let url = format!("__SCHEME__://{address}");
        // `ctx.dir()?` is kept on a stop, `ctx.volatile_dir()?` isn't. `ctx.identity(USER)?` has
        // certificates.
        let process = Process::new("__NAME__", ctx.executable("__NAME__")?)
            .flags([("listen-address", address.as_str()), ("data-dir", &ctx.dir()?)])
            .args(ctx.words("extra-args")?);
        plan.process(process)?;
__PROVIDE__
    }
}

export_component!(__TYPE__);

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::abi;
    use kubernix_testkit::kit::assert_conforms;
    use kubernix_testkit::{FakeContext, assert_pure};

    #[test]
    fn it_conforms() {
        assert_conforms(|| abi::component(__TYPE__));
    }

    #[test]
    fn it_runs_its_program_and_fills_its_roles() {
        let ctx = FakeContext::new().parameter("extra-args", "--verbose --fast");
        let plan = assert_pure(&abi::component(__TYPE__), &ctx);
        assert_eq!(plan.processes[0].program, "/opt/bin/__NAME__");
        assert_eq!(plan.processes[0].args[2..], ["--verbose", "--fast"]);
        let roles: Vec<&str> = plan.provides.iter().map(|endpoint| endpoint.role.as_str()).collect();
        assert_eq!(roles, [__PROVIDED__]);
    }

    #[test]
    fn the_manifest_has_the_version_of_the_crate() {
        let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(include_str!("../__NAME__.toml").lines().any(|line| line == version), "no {version}");
    }
}
