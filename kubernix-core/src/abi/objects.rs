//! Objects that cross the boundary by reference or owned, and whose methods the other side calls.
//! They grow at their end: a minor version appends methods with default bodies after
//! `#[sabi(last_prefix_field)]`, which never moves.

use super::{
    AbiBinary, AbiCommand, AbiFinding, AbiIdentity, AbiNode, AbiOutput, AbiParameter, AbiProbe, AbiProcess,
    AbiRequirement, AbiResult,
};
use crate::{Phase, Scope};
use abi_stable::sabi_trait;
use abi_stable::sabi_types::{RMut, RRef};
use abi_stable::std_types::{RBox, ROption, RStr, RString, RVec, Tuple2};

/// Host to component: the cluster and its host. [`Context`](crate::Context) documents the methods.
#[sabi_trait]
pub trait AbiContext: Send + Sync {
    /// The cluster's name.
    fn cluster(&self) -> AbiResult<RString>;
    /// The instance's node.
    fn node(&self) -> AbiResult<AbiNode>;
    /// An address or range of the address plan: `control-plane`, `members`, `pods`, `services`,
    /// `node-mask`, `dns`, `registry`, `registry-name`.
    fn address(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// A directory: `state`, `shared`, `volatile`, `node`.
    fn directory(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// An identity's files.
    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity>;
    /// A user's kubeconfig.
    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString>;
    /// A file that the host created.
    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// A binary's path.
    fn executable(&self, binary: AbiBinary) -> AbiResult<RString>;
    /// A binary's version.
    fn version(&self, binary: AbiBinary) -> AbiResult<RString>;
    /// A role's endpoint.
    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString>;
    /// The component that fills a role.
    fn filled_by(&self, role: RStr<'_>) -> ROption<RString>;
    /// A parameter's text.
    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// A fact about the host.
    fn fact(&self, name: RStr<'_>) -> ROption<RString>;
    /// Runs a command until it exits.
    #[sabi(last_prefix_field)]
    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput>;
}

/// A borrowed host context.
pub type AbiContextRef<'a> = AbiContext_TO<'a, RRef<'a, ()>>;

/// Host to component: takes its plan. [`Planner`](crate::Planner) documents the methods.
#[sabi_trait]
pub trait AbiPlanner {
    /// A directory to create.
    fn directory(&mut self, path: RStr<'_>, mode: u32) -> AbiResult<()>;
    /// A file to write.
    fn file(&mut self, path: RStr<'_>, content: RStr<'_>, mode: u32) -> AbiResult<()>;
    /// A process to run.
    fn process(&mut self, process: AbiProcess) -> AbiResult<()>;
    /// A role to fill.
    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()>;
    /// Objects to apply.
    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()>;
    /// An image that pods need.
    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()>;
    /// An image that the host builds.
    fn build(&mut self, reference: RStr<'_>, parts: RVec<Tuple2<RString, RString>>) -> AbiResult<()>;
    /// A variable for users' shells.
    #[sabi(last_prefix_field)]
    fn variable(&mut self, name: RStr<'_>, value: RStr<'_>) -> AbiResult<()>;
}

/// A mutably borrowed host planner.
pub type AbiPlannerMut<'a> = AbiPlanner_TO<'a, RMut<'a, ()>>;

/// Component to host. [`Component`](crate::Component) documents the methods.
#[sabi_trait]
pub trait AbiComponent: Send + Sync {
    /// The unique name.
    fn name(&self) -> AbiResult<RString>;
    /// The name in messages.
    fn title(&self) -> AbiResult<RString>;
    /// The step of the boot order.
    fn phase(&self) -> AbiResult<Phase>;
    /// How many instances there are.
    fn scope(&self) -> AbiResult<Scope>;
    /// Roles that it fills.
    fn provides(&self) -> AbiResult<RVec<RString>>;
    /// Roles that it needs.
    fn requires(&self) -> AbiResult<RVec<AbiRequirement>>;
    /// Binaries that it runs.
    fn binaries(&self) -> AbiResult<RVec<AbiBinary>>;
    /// Parameters that it reads.
    fn parameters(&self) -> AbiResult<RVec<AbiParameter>>;
    /// Its plan.
    fn plan(&self, ctx: &AbiContextRef<'_>, planner: &mut AbiPlannerMut<'_>) -> AbiResult<()>;
    /// Its checks of the host.
    fn preflight(&self, ctx: &AbiContextRef<'_>) -> AbiResult<RVec<AbiFinding>>;
    /// Its hook before a graceful stop.
    fn before_stop(&self, ctx: &AbiContextRef<'_>) -> AbiResult<()>;
    /// Its command that imports an image.
    fn import_image(
        &self,
        ctx: &AbiContextRef<'_>,
        archive: RStr<'_>,
        name: RStr<'_>,
    ) -> AbiResult<ROption<AbiCommand>>;
    /// Its command that removes an imported image.
    #[sabi(last_prefix_field)]
    fn remove_image(&self, ctx: &AbiContextRef<'_>, name: RStr<'_>) -> AbiResult<ROption<AbiCommand>>;
}

/// An owned component, compiled in or loaded.
pub type ComponentBox = AbiComponent_TO<'static, RBox<()>>;
