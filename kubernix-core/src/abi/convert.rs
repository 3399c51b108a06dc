//! Conversions between the plain types of the contract and those that cross the boundary.

use super::{
    AbiBinary, AbiCommand, AbiError, AbiFinding, AbiLiveness, AbiPairs, AbiParameter, AbiProbe, AbiProcess,
    AbiRequirement, BinaryKind, ParameterKindNumber,
};
use crate::types::millis;
use crate::{Binary, Command, Error, Finding, Liveness, Parameter, ParameterKind, Probe, Process, Requirement, Role};
use abi_stable::std_types::{RString, RVec, Tuple2};
use std::collections::BTreeMap;
use std::time::Duration;

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

/// A value of an open set that this host doesn't know and can't pass on.
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
