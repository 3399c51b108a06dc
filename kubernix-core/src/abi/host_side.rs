//! The host's side of the boundary: guards the objects that components call, so that a panic of the
//! host becomes an error in the component.

use super::guard::{guard, guard_or};
use super::{
    AbiBinary, AbiCommand, AbiContext, AbiContextRef, AbiIdentity, AbiNode, AbiOutput, AbiPlanner, AbiPlannerMut,
    AbiProbe, AbiProcess, AbiResult,
};
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::sabi_types::{RMut, RRef};
use abi_stable::std_types::{ROption, RStr, RString, RVec, Tuple2};

/// A context whose methods never unwind.
struct GuardedContext<'a>(&'a (dyn AbiContext + 'a));

/// A planner whose methods never unwind.
struct GuardedPlanner<'a>(&'a mut (dyn AbiPlanner + 'a));

/// Runs a call with a guarded context.
pub(super) fn with_context<T>(ctx: &dyn AbiContext, call: impl FnOnce(&AbiContextRef<'_>) -> T) -> T {
    let guarded = GuardedContext(ctx);
    call(&AbiContextRef::from_ptr(RRef::new(&guarded), TD_Opaque))
}

/// Runs a call with a guarded planner.
pub(super) fn with_planner<T>(planner: &mut dyn AbiPlanner, call: impl FnOnce(&mut AbiPlannerMut<'_>) -> T) -> T {
    let mut guarded = GuardedPlanner(planner);
    call(&mut AbiPlannerMut::from_ptr(RMut::new(&mut guarded), TD_Opaque))
}

/// Guards a method that can itself return an error.
fn guard_result<T>(method: &str, f: impl FnOnce() -> AbiResult<T>) -> AbiResult<T> {
    guard(method, || Ok(f().into_result()?))
}

impl AbiContext for GuardedContext<'_> {
    fn cluster(&self) -> AbiResult<RString> {
        guard_result("cluster", || self.0.cluster())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        guard_result("node", || self.0.node())
    }

    fn address(&self, name: RStr<'_>) -> AbiResult<RString> {
        guard_result("address", || self.0.address(name))
    }

    fn directory(&self, name: RStr<'_>) -> AbiResult<RString> {
        guard_result("directory", || self.0.directory(name))
    }

    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity> {
        guard_result("identity", || self.0.identity(user))
    }

    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString> {
        guard_result("kubeconfig", || self.0.kubeconfig(user))
    }

    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString> {
        guard_result("host_file", || self.0.host_file(name))
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        guard_result("executable", || self.0.executable(binary))
    }

    fn version(&self, binary: AbiBinary) -> AbiResult<RString> {
        guard_result("version", || self.0.version(binary))
    }

    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString> {
        guard_result("endpoint", || self.0.endpoint(role))
    }

    fn filled_by(&self, role: RStr<'_>) -> ROption<RString> {
        guard_or("filled_by", ROption::RNone, || self.0.filled_by(role))
    }

    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString> {
        guard_result("parameter", || self.0.parameter(name))
    }

    fn fact(&self, name: RStr<'_>) -> ROption<RString> {
        guard_or("fact", ROption::RNone, || self.0.fact(name))
    }

    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput> {
        guard_result("run", || self.0.run(command))
    }
}

impl AbiPlanner for GuardedPlanner<'_> {
    fn directory(&mut self, path: RStr<'_>, mode: u32) -> AbiResult<()> {
        guard_result("directory", || self.0.directory(path, mode))
    }

    fn file(&mut self, path: RStr<'_>, content: RStr<'_>, mode: u32) -> AbiResult<()> {
        guard_result("file", || self.0.file(path, content, mode))
    }

    fn process(&mut self, process: AbiProcess) -> AbiResult<()> {
        guard_result("process", || self.0.process(process))
    }

    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()> {
        guard_result("provide", || self.0.provide(role, url, probe))
    }

    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()> {
        guard_result("manifest", || self.0.manifest(name, yaml))
    }

    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()> {
        guard_result("image", || self.0.image(reference))
    }

    fn build(&mut self, reference: RStr<'_>, parts: RVec<Tuple2<RString, RString>>) -> AbiResult<()> {
        guard_result("build", || self.0.build(reference, parts))
    }

    fn variable(&mut self, name: RStr<'_>, value: RStr<'_>) -> AbiResult<()> {
        guard_result("variable", || self.0.variable(name, value))
    }
}
