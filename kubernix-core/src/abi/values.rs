//! What crosses the boundary by value. Frozen: a field more or less is another major version of the
//! contract. What grows has `options`: pairs of a name and a text, see `options.rs`.

use crate::types::{millis, open_set};
use crate::{
    Binary, Command, Error, ErrorKind, Finding, Limit, Liveness, Parameter, ParameterKind, Probe, ProbeKind, Process,
    Requirement, Restart, Role, Signal, Wait,
};
use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RResult, RString, RVec, Tuple2};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a call across the boundary returns.
pub type AbiResult<T> = RResult<T, AbiError>;

/// Names, each with a text.
pub type AbiPairs = RVec<Tuple2<RString, RString>>;

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
    /// Which values fit.
    pub kind: ParameterKindNumber,
    /// The words of a choice.
    pub words: RVec<RString>,
    /// The lowest number.
    pub min: i64,
    /// The highest number.
    pub max: i64,
    /// What later minor versions add.
    pub options: AbiPairs,
}

open_set! {
    /// A [`ParameterKind`], by number.
    ParameterKindNumber {
        /// Any text.
        TEXT = 0, "text";
        /// One of `words`.
        CHOICE = 1, "choice";
        /// From `min` to `max`.
        NUMBER = 2, "number";
        /// True or false.
        FLAG = 3, "flag";
        /// An absolute path.
        PATH = 4, "path";
        /// Words of a shell.
        WORDS = 5, "words";
    }
}

/// A [`Binary`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiBinary {
    /// What the name means.
    pub kind: BinaryKind,
    /// The name.
    pub name: RString,
}

open_set! {
    /// What names a [`Binary`].
    BinaryKind {
        /// The toolchain.
        TOOL = 0, "tool";
        /// The value of a parameter.
        FROM_PARAMETER = 1, "from-parameter";
    }
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
    /// The address to ask.
    pub target: RString,
    /// Whose client certificate to show.
    pub identity: RString,
    /// A command's arguments.
    pub arguments: RVec<RString>,
    /// A command's environment.
    pub env: AbiPairs,
    /// What later minor versions add.
    pub options: AbiPairs,
}

/// A [`Liveness`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiLiveness {
    /// What is asked.
    pub probe: AbiProbe,
    /// Milliseconds between two checks.
    pub interval_ms: u64,
    /// Failed checks in a row that stop the process.
    pub failures: u32,
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
    pub env: AbiPairs,
    /// Its working directory; empty for the host's.
    pub directory: RString,
    /// Its user and group; empty for root.
    pub user: RString,
    /// Its limits.
    pub limits: RVec<Tuple2<Limit, u64>>,
    /// It runs once.
    pub one_shot: bool,
    /// What to do when it ends.
    pub restart: Restart,
    /// The signal that asks it to end.
    pub stop_signal: Signal,
    /// Milliseconds before SIGKILL.
    pub stop_grace_ms: u64,
    /// What restarts it.
    pub liveness: ROption<AbiLiveness>,
    /// What later minor versions add.
    pub options: AbiPairs,
}

/// A [`Command`].
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct AbiCommand {
    /// Its program.
    pub program: RString,
    /// Its arguments.
    pub args: RVec<RString>,
    /// Its environment.
    pub env: AbiPairs,
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
        let (program, args) = (command.program.as_str().into(), strings(&command.args));
        Self { program, args, env: pairs(&command.env) }
    }
}

impl From<AbiCommand> for Command {
    fn from(command: AbiCommand) -> Self {
        Self { env: map(command.env), ..Self::new(command.program, command.args) }
    }
}

impl From<&Probe> for AbiProbe {
    fn from(probe: &Probe) -> Self {
        Self {
            kind: probe.kind,
            target: probe.target.as_str().into(),
            identity: probe.identity.as_str().into(),
            arguments: strings(&probe.arguments),
            env: pairs(&probe.env),
            options: pairs(&probe.options),
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
            env: map(probe.env),
            options: map(probe.options),
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
            directory: process.directory.as_str().into(),
            user: process.user.as_str().into(),
            limits: process.limits.iter().map(|(limit, value)| Tuple2(*limit, *value)).collect(),
            one_shot: process.one_shot,
            restart: process.restart,
            stop_signal: process.stop_signal,
            stop_grace_ms: millis::number(process.stop_grace),
            liveness: process.liveness.as_ref().map(AbiLiveness::from).into(),
            options: pairs(&process.options),
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
            directory: process.directory.into(),
            user: process.user.into(),
            limits: process.limits.into_iter().map(|Tuple2(limit, value)| (limit, value)).collect(),
            one_shot: process.one_shot,
            restart: process.restart,
            stop_signal: process.stop_signal,
            stop_grace: Duration::from_millis(process.stop_grace_ms),
            liveness: process.liveness.map(Liveness::from).into_option(),
            options: map(process.options),
        }
    }
}

fn strings(list: &[String]) -> RVec<RString> {
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

impl From<&Liveness> for AbiLiveness {
    fn from(liveness: &Liveness) -> Self {
        let interval_ms = millis::number(liveness.interval);
        Self { probe: (&liveness.probe).into(), interval_ms, failures: liveness.failures }
    }
}

impl From<AbiLiveness> for Liveness {
    fn from(liveness: AbiLiveness) -> Self {
        let interval = Duration::from_millis(liveness.interval_ms);
        Self::new(liveness.probe.into()).every(interval).failures(liveness.failures)
    }
}

impl From<&Binary> for AbiBinary {
    fn from(binary: &Binary) -> Self {
        let (kind, name) = match binary {
            Binary::Tool(name) => (BinaryKind::TOOL, name),
            Binary::FromParameter(name) => (BinaryKind::FROM_PARAMETER, name),
        };
        Self { kind, name: name.as_str().into() }
    }
}

impl TryFrom<AbiBinary> for Binary {
    type Error = Error;

    fn try_from(binary: AbiBinary) -> Result<Self, Error> {
        match binary.kind {
            BinaryKind::TOOL => Ok(Self::Tool(binary.name.into())),
            BinaryKind::FROM_PARAMETER => Ok(Self::FromParameter(binary.name.into())),
            other => Err(unknown("binary", &binary.name, &other.to_string())),
        }
    }
}

impl From<Parameter> for AbiParameter {
    fn from(parameter: Parameter) -> Self {
        let (mut words, mut min, mut max) = (RVec::new(), 0, 0);
        let kind = match parameter.kind {
            ParameterKind::Text => ParameterKindNumber::TEXT,
            ParameterKind::Choice(choices) => {
                words = strings(&choices);
                ParameterKindNumber::CHOICE
            }
            ParameterKind::Number(from, to) => {
                (min, max) = (from, to);
                ParameterKindNumber::NUMBER
            }
            ParameterKind::Flag => ParameterKindNumber::FLAG,
            ParameterKind::Path => ParameterKindNumber::PATH,
            ParameterKind::Words => ParameterKindNumber::WORDS,
        };
        let (name, help, default) = (parameter.name.into(), parameter.help.into(), parameter.default.into());
        Self { name, help, default, kind, words, min, max, options: pairs(&parameter.options) }
    }
}

impl TryFrom<AbiParameter> for Parameter {
    type Error = Error;

    fn try_from(parameter: AbiParameter) -> Result<Self, Error> {
        let kind = match parameter.kind {
            ParameterKindNumber::TEXT => ParameterKind::Text,
            ParameterKindNumber::CHOICE => {
                ParameterKind::Choice(parameter.words.into_iter().map(String::from).collect())
            }
            ParameterKindNumber::NUMBER => ParameterKind::Number(parameter.min, parameter.max),
            ParameterKindNumber::FLAG => ParameterKind::Flag,
            ParameterKindNumber::PATH => ParameterKind::Path,
            ParameterKindNumber::WORDS => ParameterKind::Words,
            other => return Err(unknown("parameter", &parameter.name, &other.to_string())),
        };
        let (name, help, default) = (parameter.name.into(), parameter.help.into(), parameter.default.into());
        Ok(Self { name, help, default, kind, options: map(parameter.options) })
    }
}

/// A value of an open set that this host doesn't know, where it can't be passed on.
fn unknown(what: &str, name: &str, kind: &str) -> Error {
    Error::invalid(format!("{what} `{name}` is of the kind {kind}, which this version of KuberNix doesn't know"))
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

fn pairs(map: &BTreeMap<String, String>) -> AbiPairs {
    map.iter().map(|(key, value)| Tuple2(key.as_str().into(), value.as_str().into())).collect()
}

fn map(pairs: AbiPairs) -> BTreeMap<String, String> {
    pairs.into_iter().map(|Tuple2(key, value)| (key.into(), value.into())).collect()
}
