//! What crosses the boundary between a host and a component, in `abi_stable` types.
//!
//! Component authors don't need this module: [`component`] wraps their value. Growth: traits get methods with default bodies
//! after `#[sabi(last_prefix_field)]`, which never moves within a major version; the structs here are frozen.

use crate::{Command, Component, Error, ErrorKind, Phase, Probe, ProbeKind, Process, Restart, Scope, Wait};
use abi_stable::sabi_types::{RMut, RRef};
use abi_stable::std_types::{RBox, ROption, RResult, RStr, RString, RVec, Tuple2};
use abi_stable::{StableAbi, sabi_trait};

mod adapter;
mod recorder;

/// What a call across the boundary returns.
pub type AbiResult<T> = RResult<T, AbiError>;

/// An [`Error`], flattened: frame 0 is the outermost message.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiError {
    /// What sort of failure.
    pub kind: ErrorKind,
    /// The messages.
    pub frames: RVec<RString>,
}

/// A [`crate::Requirement`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiRequirement {
    /// The role.
    pub role: RString,
    /// What to wait for.
    pub wait: Wait,
}

/// A [`crate::Parameter`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiParameter {
    /// The name.
    pub name: RString,
    /// What it does.
    pub help: RString,
    /// The value where none is given.
    pub default: RString,
}

/// A [`crate::Finding`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiFinding {
    /// The boot can't succeed.
    pub fatal: bool,
    /// What and what to do.
    pub message: RString,
}

/// A [`crate::Node`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiNode {
    /// The Kubernetes node's name.
    pub name: RString,
    /// 0 for the first.
    pub index: u32,
    /// Its address.
    pub ip: RString,
    /// The range of its pods.
    pub pod_cidr: RString,
}

/// A [`crate::Identity`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiIdentity {
    /// Path of the certificate.
    pub cert: RString,
    /// Path of the key.
    pub key: RString,
    /// Path of the CA.
    pub ca: RString,
}

/// A [`Probe`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiProbe {
    /// How to ask.
    pub kind: ProbeKind,
    /// Whom to ask.
    pub target: RString,
    /// Whose client certificate to show.
    pub identity: RString,
    /// A command's arguments.
    pub arguments: RVec<RString>,
}

/// A [`Process`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiProcess {
    /// Its name.
    pub name: RString,
    /// Its program.
    pub program: RString,
    /// Its arguments.
    pub args: RVec<RString>,
    /// Its environment.
    pub env: RVec<Tuple2<RString, RString>>,
    /// What to do when it ends.
    pub restart: Restart,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// Milliseconds before SIGKILL.
    pub stop_grace_ms: u64,
}

/// A [`Command`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiCommand {
    /// Its program.
    pub program: RString,
    /// Its arguments.
    pub args: RVec<RString>,
}

/// A [`crate::Output`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiOutput {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: RString,
    /// Standard error.
    pub stderr: RString,
}

/// Host to component: what it may know. [`crate::Context`] says what each method is for.
#[sabi_trait]
pub trait AbiContext: Send + Sync {
    /// The cluster's name.
    fn cluster(&self) -> RString;
    /// The instance's node.
    fn node(&self) -> AbiNode;
    /// An address or range of the address plan: `control-plane`, `pods`, `services`, `node-mask`, `dns`.
    fn address(&self, name: RStr<'_>) -> ROption<RString>;
    /// A directory: `state`, `volatile`, `node`.
    fn directory(&self, name: RStr<'_>) -> ROption<RString>;
    /// An identity's files.
    fn identity(&self, user: RStr<'_>) -> AbiResult<AbiIdentity>;
    /// A user's kubeconfig.
    fn kubeconfig(&self, user: RStr<'_>) -> AbiResult<RString>;
    /// A file that the host made.
    fn host_file(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// A binary's path.
    fn executable(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// A role's endpoint.
    fn endpoint(&self, role: RStr<'_>) -> AbiResult<RString>;
    /// Who fills a role.
    fn filled_by(&self, role: RStr<'_>) -> ROption<RString>;
    /// A parameter's text.
    fn parameter(&self, name: RStr<'_>) -> AbiResult<RString>;
    /// What the host knows of itself.
    fn fact(&self, name: RStr<'_>) -> ROption<RString>;
    /// Runs a command to its end.
    #[sabi(last_prefix_field)]
    fn run(&self, command: AbiCommand) -> AbiResult<AbiOutput>;
}

/// A borrowed host context.
pub type AbiContextRef<'a> = AbiContext_TO<'a, RRef<'a, ()>>;

/// Host to component: takes its plan. [`crate::Planner`] says what each method is for.
#[sabi_trait]
pub trait AbiPlanner {
    /// A directory to make.
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
    #[sabi(last_prefix_field)]
    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()>;
}

/// A mutably borrowed host planner.
pub type AbiPlannerMut<'a> = AbiPlanner_TO<'a, RMut<'a, ()>>;

/// Component to host. [`Component`] says what each method is for.
#[sabi_trait]
pub trait AbiComponent: Send + Sync {
    /// The unique name.
    fn name(&self) -> RString;
    /// The name that people read.
    fn title(&self) -> RString;
    /// The step of the boot order.
    fn phase(&self) -> Phase;
    /// How many instances there are.
    fn scope(&self) -> Scope;
    /// Roles that it fills.
    fn provides(&self) -> RVec<RString>;
    /// Roles that it needs.
    fn requires(&self) -> RVec<AbiRequirement>;
    /// Binaries that it runs.
    fn binaries(&self) -> RVec<RString>;
    /// Parameters that it reads.
    fn parameters(&self) -> RVec<AbiParameter>;
    /// Its plan.
    fn plan(&self, ctx: &AbiContextRef<'_>, planner: &mut AbiPlannerMut<'_>) -> AbiResult<()>;
    /// What it finds on the host.
    fn preflight(&self, ctx: &AbiContextRef<'_>) -> AbiResult<RVec<AbiFinding>>;
    /// What it does before a graceful stop.
    fn before_stop(&self, ctx: &AbiContextRef<'_>) -> AbiResult<()>;
    /// How it imports an image.
    #[sabi(last_prefix_field)]
    fn import_image(
        &self,
        ctx: &AbiContextRef<'_>,
        archive: RStr<'_>,
        name: RStr<'_>,
    ) -> AbiResult<ROption<AbiCommand>>;
}

/// An owned component, compiled in or loaded.
pub type ComponentBox = AbiComponent_TO<'static, RBox<()>>;

/// Makes a component ready to cross the boundary; from here on panics are caught.
pub fn component<C: Component>(component: C) -> ComponentBox {
    ComponentBox::from_value(adapter::Guarded::new(component), sabi_trait::TD_Opaque)
}

impl From<&Error> for AbiError {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind(), frames: error.frames().into_iter().map(RString::from).collect() }
    }
}

impl From<Error> for AbiError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<AbiError> for Error {
    fn from(error: AbiError) -> Self {
        Self::from_frames(error.kind, error.frames.into_iter().map(String::from))
    }
}

impl From<&Command> for AbiCommand {
    fn from(command: &Command) -> Self {
        Self { program: command.program.as_str().into(), args: strings(&command.args) }
    }
}

impl From<AbiCommand> for Command {
    fn from(command: AbiCommand) -> Self {
        Self::new(command.program, command.args)
    }
}

impl From<&Probe> for AbiProbe {
    fn from(probe: &Probe) -> Self {
        Self {
            kind: probe.kind,
            target: probe.target.as_str().into(),
            identity: probe.identity.as_str().into(),
            arguments: strings(&probe.arguments),
        }
    }
}

impl From<AbiProbe> for Probe {
    fn from(probe: AbiProbe) -> Self {
        Self {
            kind: probe.kind,
            target: probe.target.into(),
            identity: probe.identity.into(),
            arguments: probe.arguments.into_iter().map(String::from).collect(),
        }
    }
}

impl From<&Process> for AbiProcess {
    fn from(process: &Process) -> Self {
        Self {
            name: process.name.as_str().into(),
            program: process.program.as_str().into(),
            args: strings(&process.args),
            env: process.env.iter().map(|(k, v)| Tuple2(k.as_str().into(), v.as_str().into())).collect(),
            restart: process.restart,
            stop_signal: process.stop_signal,
            stop_grace_ms: process.stop_grace_ms,
        }
    }
}

impl From<AbiProcess> for Process {
    fn from(process: AbiProcess) -> Self {
        Self {
            name: process.name.into(),
            program: process.program.into(),
            args: process.args.into_iter().map(String::from).collect(),
            env: process.env.into_iter().map(|Tuple2(k, v)| (k.into(), v.into())).collect(),
            restart: process.restart,
            stop_signal: process.stop_signal,
            stop_grace_ms: process.stop_grace_ms,
        }
    }
}

pub(crate) fn strings(list: &[String]) -> RVec<RString> {
    list.iter().map(|s| RString::from(s.as_str())).collect()
}
