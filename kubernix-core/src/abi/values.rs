//! What crosses the boundary by value. Frozen: a field more or less is another major version of the contract.

use crate::{
    Command, Error, ErrorKind, Finding, Parameter, Probe, ProbeKind, Process, Requirement, Restart, Role, Wait,
};
use abi_stable::StableAbi;
use abi_stable::std_types::{RResult, RString, RVec, Tuple2};
use std::collections::BTreeMap;

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
#[derive(StableAbi, Debug, Clone, Default)]
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
            env: pairs(&process.env),
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
            env: map(process.env),
            restart: process.restart,
            stop_signal: process.stop_signal,
            stop_grace_ms: process.stop_grace_ms,
        }
    }
}

pub(super) fn strings(list: &[String]) -> RVec<RString> {
    list.iter().map(|s| RString::from(s.as_str())).collect()
}

impl From<&Requirement> for AbiRequirement {
    fn from(requirement: &Requirement) -> Self {
        Self { role: requirement.role.as_str().into(), wait: requirement.wait }
    }
}

impl From<AbiRequirement> for Requirement {
    fn from(requirement: AbiRequirement) -> Self {
        Self { role: Role::new(requirement.role), wait: requirement.wait }
    }
}

impl From<Parameter> for AbiParameter {
    fn from(parameter: Parameter) -> Self {
        Self { name: parameter.name.into(), help: parameter.help.into(), default: parameter.default.into() }
    }
}

impl From<AbiParameter> for Parameter {
    fn from(parameter: AbiParameter) -> Self {
        Self { name: parameter.name.into(), help: parameter.help.into(), default: parameter.default.into() }
    }
}

impl From<Finding> for AbiFinding {
    fn from(finding: Finding) -> Self {
        Self { fatal: finding.fatal, message: finding.message.into() }
    }
}

impl From<AbiFinding> for Finding {
    fn from(finding: AbiFinding) -> Self {
        Self { fatal: finding.fatal, message: finding.message.into() }
    }
}

fn pairs(map: &BTreeMap<String, String>) -> RVec<Tuple2<RString, RString>> {
    map.iter().map(|(key, value)| Tuple2(key.as_str().into(), value.as_str().into())).collect()
}

fn map(pairs: RVec<Tuple2<RString, RString>>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|Tuple2(key, value)| (key.into(), value.into())).collect()
}
