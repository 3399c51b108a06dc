//! A fake host for tests of components, and the conformance [`kit`], which checks any component
//! with it. Nothing is started, and no root is needed.
//!
//! Every call goes through [`kubernix_core::abi`], as in a real host, so tests cover the boundary
//! as well. It must not know any component.
//!
//! # Example
//! ```
//! # use kubernix_core::{Binary, Component, Context, Phase, Planner, Probe, Process, Result, Role, abi};
//! # struct Etcd;
//! # impl Component for Etcd {
//! #     fn name(&self) -> &str { "etcd" }
//! #     fn phase(&self) -> Phase { Phase::INFRASTRUCTURE }
//! #     fn provides(&self) -> Vec<Role> { vec!["datastore".into()] }
//! #     fn binaries(&self) -> Vec<Binary> { vec!["etcd".into()] }
//! #     fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
//! #         plan.process(Process::new("etcd", ctx.executable("etcd")?))?;
//! #         plan.provide("datastore", "https://10.10.192.1:2379", Probe::started())
//! #     }
//! # }
//! use kubernix_testkit::FakeContext;
//!
//! let plan = kubernix_testkit::plan(&abi::component(Etcd), &FakeContext::new()).unwrap();
//! assert_eq!(plan.processes[0].program, "/opt/bin/etcd");
//! ```

mod context;
pub mod kit;
#[cfg(feature = "live")]
pub mod live;
mod scoped;
mod skip;

pub use context::FakeContext;
pub use skip::report_skip;

use kubernix_core::abi::Handle;
use kubernix_core::{Command, Error, Finding, Plan, Result, Role};
use scoped::Scoped;

/// The context with only the binaries, parameters and roles that the component declared.
fn scoped<'a>(component: &Handle, ctx: &'a FakeContext) -> Result<Scoped<'a>> {
    Ok(Scoped::new(component.describe()?, ctx))
}

/// The component's plan, checked against what it declares.
///
/// # Errors
/// The component's error; a declared role that it doesn't fill, or a filled role that it doesn't
/// declare.
pub fn plan(component: &Handle, ctx: &FakeContext) -> Result<Plan> {
    let mut plan = Plan::default();
    component.plan(&scoped(component, ctx)?, &mut plan)?;
    let mut filled: Vec<&str> = plan.provides.iter().map(|endpoint| endpoint.role.as_str()).collect();
    let provides = component.describe()?.provides;
    let mut declared: Vec<&str> = provides.iter().map(Role::as_str).collect();
    filled.sort_unstable();
    declared.sort_unstable();
    if filled != declared {
        return Err(Error::invalid(format!("the component declares the roles {declared:?} and fills {filled:?}")));
    }
    Ok(plan)
}

/// The plan, after checking that two calls give the same plan and that it survives serialisation.
///
/// # Panics
/// The component isn't a pure function of its context, or has no plan.
pub fn assert_pure(component: &Handle, ctx: &FakeContext) -> Plan {
    let first = plan(component, ctx).expect("the component has a plan");
    assert_eq!(plan(component, ctx).as_ref(), Ok(&first), "the same context has to give the same plan");
    let json = serde_json::to_string(&first).expect("a plan can be serialised");
    assert_eq!(serde_json::from_str::<Plan>(&json).expect("and read again"), first);
    first
}

/// The content of the file whose path has this ending.
///
/// # Panics
/// The plan has no such file.
pub fn file<'a>(plan: &'a Plan, ending: &str) -> &'a str {
    let found = plan.files.iter().find(|file| file.path.ends_with(ending));
    &found.unwrap_or_else(|| panic!("no file {ending} in {:?}", plan.files.iter().map(|f| &f.path))).content
}

/// Runs the component's `before_stop`. [`FakeContext::commands`] has its commands.
///
/// # Errors
/// The component's error.
pub fn before_stop(component: &Handle, ctx: &FakeContext) -> Result<()> {
    component.before_stop(&scoped(component, ctx)?)
}

/// Runs the component's `preflight`.
///
/// # Errors
/// The component's error.
pub fn preflight(component: &Handle, ctx: &FakeContext) -> Result<Vec<Finding>> {
    component.preflight(&scoped(component, ctx)?)
}

/// The component's command for importing an image.
///
/// # Errors
/// The component's error.
pub fn import_image(component: &Handle, ctx: &FakeContext, archive: &str, name: &str) -> Result<Option<Command>> {
    component.import_image(&scoped(component, ctx)?, archive, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_core::{Binary, Component, Context, ErrorKind, Parameter, Phase, Planner, Probe, Process, abi};

    /// Declares a role, a parameter and a binary, and then behaves as its parameter demands.
    struct Careless;

    impl Component for Careless {
        fn name(&self) -> &str {
            "careless"
        }

        fn phase(&self) -> Phase {
            Phase::ADDON
        }

        fn provides(&self) -> Vec<Role> {
            vec!["dns".into()]
        }

        fn binaries(&self) -> Vec<Binary> {
            vec!["declared".into()]
        }

        fn parameters(&self) -> Vec<Parameter> {
            vec![Parameter::new("does", "right", "what it does")]
        }

        fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
            match ctx.parameter("does")?.as_str() {
                "binary" => ctx.executable("undeclared").map(|_| ()),
                "endpoint" => ctx.endpoint("apiserver").map(|_| ()),
                "parameter" => ctx.parameter("undeclared").map(|_| ()),
                "nothing" => Ok(()),
                "panic" => panic!("careless"),
                _ => {
                    plan.process(Process::new("declared", ctx.executable("declared")?))?;
                    plan.provide("dns", "", Probe::started())
                }
            }
        }
    }

    fn result(does: &str) -> Result<Plan> {
        plan(&abi::component(Careless), &FakeContext::new().parameter("does", does))
    }

    #[test]
    fn undeclared_names_are_errors() {
        for does in ["binary", "endpoint", "parameter"] {
            assert_eq!(result(does).unwrap_err().kind(), ErrorKind::NOT_FOUND, "{does}");
        }
        assert_eq!(result("right").unwrap().processes[0].program, "/opt/bin/declared");
    }

    #[test]
    fn a_declared_role_has_to_be_filled() {
        let error = result("nothing").unwrap_err().to_string();
        assert_eq!(error, r#"the component declares the roles ["dns"] and fills []"#);
    }

    #[test]
    fn panics_become_errors() {
        assert_eq!(result("panic").unwrap_err().frames(), ["`plan` panicked", "careless"]);
    }
}
