//! A host's side of the boundary: what components call back into, guarded, so that a defect of the
//! host is an error in the component and not the end of the process.

use super::guard::{guard, guard_or};
use super::{
    AbiBinary, AbiCommand, AbiContext, AbiContextRef, AbiIdentity, AbiNode, AbiOutput, AbiPlanner, AbiPlannerMut,
    AbiProbe, AbiProcess, AbiResult,
};
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::sabi_types::{RMut, RRef};
use abi_stable::std_types::{ROption, RStr, RString, RVec, Tuple2};

/// A context none of whose methods unwinds.
struct GuardedContext<'a>(&'a (dyn AbiContext + 'a));

/// A planner none of whose methods unwinds.
struct GuardedPlanner<'a>(&'a mut (dyn AbiPlanner + 'a));

/// Calls with a context in the form in which components get it.
pub(super) fn with_context<T>(ctx: &dyn AbiContext, call: impl FnOnce(&AbiContextRef<'_>) -> T) -> T {
    let guarded = GuardedContext(ctx);
    call(&AbiContextRef::from_ptr(RRef::new(&guarded), TD_Opaque))
}

/// Calls with a planner in the form in which components get it.
pub(super) fn with_planner<T>(planner: &mut dyn AbiPlanner, call: impl FnOnce(&mut AbiPlannerMut<'_>) -> T) -> T {
    let mut guarded = GuardedPlanner(planner);
    call(&mut AbiPlannerMut::from_ptr(RMut::new(&mut guarded), TD_Opaque))
}

/// Flattens what a guarded call of a method that can fail by itself answers.
fn passed_on<T>(method: &str, f: impl FnOnce() -> AbiResult<T>) -> AbiResult<T> {
    guard(method, || Ok(f().into_result()?))
}

impl AbiContext for GuardedContext<'_> {
    fn cluster(&self) -> AbiResult<RString> {
        passed_on("cluster", || self.0.cluster())
    }

    fn node(&self) -> AbiResult<AbiNode> {
        passed_on("node", || self.0.node())
    }

    fn address(&self, name: RStr<'_>) -> AbiResult<RString> {
        passed_on("address", || self.0.address(name))
    }

    fn directory(&self, name: RStr<'_>) -> AbiResult<RString> {
        passed_on("directory", || self.0.directory(name))
    }

    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity> {
        passed_on("identity", || self.0.identity(user))
    }

    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString> {
        passed_on("kubeconfig", || self.0.kubeconfig(user))
    }

    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString> {
        passed_on("host_file", || self.0.host_file(name))
    }

    fn executable(&self, binary: AbiBinary) -> AbiResult<RString> {
        passed_on("executable", || self.0.executable(binary))
    }

    fn version(&self, binary: AbiBinary) -> AbiResult<RString> {
        passed_on("version", || self.0.version(binary))
    }

    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString> {
        passed_on("endpoint", || self.0.endpoint(role))
    }

    fn filled_by(&self, role: RStr<'_>) -> ROption<RString> {
        guard_or("filled_by", ROption::RNone, || self.0.filled_by(role))
    }

    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString> {
        passed_on("parameter", || self.0.parameter(name))
    }

    fn fact(&self, name: RStr<'_>) -> ROption<RString> {
        guard_or("fact", ROption::RNone, || self.0.fact(name))
    }

    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput> {
        passed_on("run", || self.0.run(command))
    }
}

impl AbiPlanner for GuardedPlanner<'_> {
    fn directory(&mut self, path: RStr<'_>, mode: u32) -> AbiResult<()> {
        passed_on("directory", || self.0.directory(path, mode))
    }

    fn file(&mut self, path: RStr<'_>, content: RStr<'_>, mode: u32) -> AbiResult<()> {
        passed_on("file", || self.0.file(path, content, mode))
    }

    fn process(&mut self, process: AbiProcess) -> AbiResult<()> {
        passed_on("process", || self.0.process(process))
    }

    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()> {
        passed_on("provide", || self.0.provide(role, url, probe))
    }

    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()> {
        passed_on("manifest", || self.0.manifest(name, yaml))
    }

    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()> {
        passed_on("image", || self.0.image(reference))
    }

    fn build(&mut self, reference: RStr<'_>, parts: RVec<Tuple2<RString, RString>>) -> AbiResult<()> {
        passed_on("build", || self.0.build(reference, parts))
    }

    fn variable(&mut self, name: RStr<'_>, value: RStr<'_>) -> AbiResult<()> {
        passed_on("variable", || self.0.variable(name, value))
    }
}
