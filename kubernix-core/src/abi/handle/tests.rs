//! Tests of calls across the boundary, in both directions.

use super::*;
use crate::abi::{AbiBinary, AbiCommand, AbiIdentity, AbiNode, AbiOutput, AbiResult};
use crate::{Context, ErrorKind, Plan, Planner, Probe, Process};
use abi_stable::std_types::{ROption, RStr, RString};

/// A component whose description consists of these fields.
struct Says {
    name: &'static str,
    provides: Vec<&'static str>,
    requires: Vec<&'static str>,
    parameters: Vec<Parameter>,
    from_parameters: Vec<&'static str>,
    panics_in: &'static str,
}

impl Says {
    fn with(change: impl FnOnce(&mut Self)) -> Handle {
        let (requires, parameters) = (Vec::new(), Vec::new());
        let from_parameters = Vec::new();
        let mut says =
            Self { name: "fine", provides: vec!["dns"], requires, parameters, from_parameters, panics_in: "" };
        change(&mut says);
        component(says)
    }

    fn maybe_panic(&self, method: &str) {
        assert_ne!(self.panics_in, method, "on purpose");
    }
}

impl Component for Says {
    fn name(&self) -> &str {
        self.maybe_panic("name");
        self.name
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    fn provides(&self) -> Vec<Role> {
        self.maybe_panic("provides");
        self.provides.iter().copied().map(Role::new).collect()
    }

    fn requires(&self) -> Vec<Requirement> {
        self.maybe_panic("requires");
        self.requires.iter().copied().map(Requirement::ready).collect()
    }

    fn binaries(&self) -> Vec<Binary> {
        self.from_parameters.iter().copied().map(Binary::from_parameter).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.parameters.clone()
    }

    fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
        plan.process(Process::new("one", format!("/bin/{}", ctx.cluster()?)))?;
        plan.provide("dns", ctx.parameter("zone")?, Probe::started())
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        self.maybe_panic("drop");
    }
}

fn parameter(name: &str) -> Parameter {
    Parameter::new(name, "", "")
}

fn refusal(change: impl FnOnce(&mut Says)) -> String {
    Says::with(change).describe().unwrap_err().frames().join(": ")
}

#[test]
fn invalid_descriptions_are_rejected() {
    assert!(refusal(|c| c.name = "").starts_with("its name is \"\", which isn't a DNS label"));
    assert!(refusal(|c| c.name = "../x").starts_with("its name is \"../x\""));
    assert!(refusal(|c| c.provides.clear()).starts_with("component `fine`: it provides no role"));
    assert!(refusal(|c| c.provides = vec!["No Such"]).contains("a role is \"No Such\", which isn't a DNS label"));
    assert!(refusal(|c| c.provides = vec!["dns", "dns"]).ends_with("it names role `dns` twice"));
    assert!(refusal(|c| c.requires = vec!["cri", "cri"]).ends_with("it names requirement `cri` twice"));
    assert!(refusal(|c| c.parameters = vec![parameter("a"), parameter("a")]).ends_with("it names parameter `a` twice"));
    assert!(refusal(|c| c.from_parameters = vec!["a"]).ends_with("named by parameter `a`, which it doesn't declare"));
    assert!(refusal(|c| c.requires = vec!["dns"]).ends_with("it requires role `dns`, which it provides itself"));
    assert_eq!(Says::with(|_| ()).describe().unwrap().provides, [Role::new("dns")]);
}

#[test]
fn a_parameter_with_a_wrong_default_or_an_unknown_option_is_rejected() {
    let wrong = refusal(|c| c.parameters = vec![Parameter::new("level", "loud", "").choice(&["info", "debug"])]);
    assert!(wrong.ends_with("a default is invalid: parameter `level` is `loud`: use one of info, debug"), "{wrong}");
    let unknown = refusal(|c| c.parameters = vec![parameter("a").option("secret", "true")]);
    assert!(unknown.contains("parameter `a` has the option `secret`, which this version"), "{unknown}");
}

#[test]
fn parameters_cross_the_boundary_with_their_kinds() {
    let all = vec![
        Parameter::new("a", "x", "h"),
        Parameter::new("b", "x", "h").choice(&["x", "y"]),
        Parameter::new("c", "1", "h").number(-1..=2),
        Parameter::new("d", "true", "h").flag(),
        Parameter::new("e", "/x", "h").path(),
        Parameter::new("f", "x", "h").words(),
    ];
    assert_eq!(Says::with(|c| c.parameters = all.clone()).describe().unwrap().parameters, all);
}

#[test]
fn a_panic_of_any_method_is_an_error_that_names_the_method() {
    for method in ["name", "provides", "requires"] {
        let error = Says::with(|c| c.panics_in = method).describe().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PANIC, "{method}");
        assert!(error.frames()[0].contains(&format!("`{method}` panicked")), "{:?}", error.frames());
    }
    drop(Says::with(|c| c.panics_in = "drop"));
}

/// A host with a defect: it panics when a component reads a parameter or the cluster's name.
struct Broken {
    in_cluster: bool,
}

impl AbiContext for Broken {
    fn cluster(&self) -> AbiResult<RString> {
        assert!(!self.in_cluster, "on purpose");
        AbiResult::ROk("test".into())
    }
    fn node(&self) -> AbiResult<AbiNode> {
        unreachable!("not called")
    }
    fn address(&self, _: RStr<'_>) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn directory(&self, _: RStr<'_>) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn identity(&self, _: RStr<'_>) -> AbiResult<AbiIdentity> {
        unreachable!("not called")
    }
    fn kubeconfig(&self, _: RStr<'_>) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn host_file(&self, _: RStr<'_>) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn executable(&self, _: AbiBinary) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn version(&self, _: AbiBinary) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn endpoint(&self, _: RStr<'_>) -> AbiResult<RString> {
        unreachable!("not called")
    }
    fn filled_by(&self, _: RStr<'_>) -> ROption<RString> {
        ROption::RNone
    }
    fn parameter(&self, _: RStr<'_>) -> AbiResult<RString> {
        panic!("on purpose")
    }
    fn fact(&self, _: RStr<'_>) -> ROption<RString> {
        ROption::RNone
    }
    fn run(&self, _: AbiCommand) -> AbiResult<AbiOutput> {
        unreachable!("not called")
    }
}

#[test]
fn a_panic_of_the_host_is_an_error_of_the_call() {
    let mut plan = Plan::default();
    let error = Says::with(|_| ()).plan(&Broken { in_cluster: false }, &mut plan).unwrap_err();
    assert_eq!(error.frames(), ["`parameter` panicked", "on purpose"]);
    assert_eq!(plan.processes[0].program, "/bin/test");

    let mut plan = Plan::default();
    let error = Says::with(|_| ()).plan(&Broken { in_cluster: true }, &mut plan).unwrap_err();
    assert_eq!(error.frames(), ["`cluster` panicked", "on purpose"]);
    assert!(plan.processes.is_empty());
}
