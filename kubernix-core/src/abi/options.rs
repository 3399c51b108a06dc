//! Options, by which processes, probes and parameters grow within a major version. A host rejects
//! an unknown option by name and never ignores it.

use crate::{Error, Parameter, Probe, ProbeKind, Process, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// Options of a [`Process`] that this version knows.
const OF_PROCESSES: &[&str] = &[];
/// Options of a [`Probe`] that this version knows.
const OF_PROBES: &[&str] = &[];
/// Options of a [`Parameter`] that this version knows.
const OF_PARAMETERS: &[&str] = &[];
/// The kinds of liveness probes. The other kinds don't check a single process.
const LIVENESS: &[ProbeKind] = &[ProbeKind::HTTP, ProbeKind::TCP, ProbeKind::UNIX, ProbeKind::CRI, ProbeKind::COMMAND];
/// The shortest time between two checks.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

fn check(what: &str, options: &BTreeMap<String, String>, known: &[&str]) -> Result<()> {
    match options.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "{what} has the option `{name}`, which this version of KuberNix doesn't know: remove it, or upgrade KuberNix"
        ))),
    }
}

/// Rejects a process with unknown options or invalid values.
pub(super) fn check_process(process: &Process) -> Result<()> {
    let what = format!("process `{}`", process.name);
    check(&what, &process.options, OF_PROCESSES)?;
    if !process.directory.is_empty() && !process.directory.starts_with('/') {
        let directory = &process.directory;
        return Err(Error::invalid(format!("{what} has the working directory `{directory}`, which is not absolute")));
    }
    let Some(liveness) = &process.liveness else { return Ok(()) };
    check_probe(&format!("the liveness probe of {what}"), &liveness.probe)?;
    if process.one_shot {
        return Err(Error::invalid(format!("{what} runs once, and can't have checks for liveness")));
    }
    if !LIVENESS.contains(&liveness.probe.kind) {
        let kinds: Vec<String> = LIVENESS.iter().map(ToString::to_string).collect();
        let kind = liveness.probe.kind;
        return Err(Error::invalid(format!("{what} has a liveness probe `{kind}`: use one of {}", kinds.join(", "))));
    }
    if liveness.failures == 0 || liveness.interval < SHORTEST_INTERVAL {
        let why = format!(
            "{what} has a liveness probe without failures, or with less than {SHORTEST_INTERVAL:?} between checks"
        );
        return Err(Error::invalid(why));
    }
    Ok(())
}

/// Rejects a probe with unknown options. `what` names it.
pub(super) fn check_probe(what: &str, probe: &Probe) -> Result<()> {
    check(what, &probe.options, OF_PROBES)
}

/// Rejects a parameter with unknown options or an invalid default.
pub(super) fn check_parameter(parameter: &Parameter) -> Result<()> {
    check(&format!("parameter `{}`", parameter.name), &parameter.options, OF_PARAMETERS)?;
    parameter.check(&parameter.default).map_err(|error| error.context("a default is invalid"))
}
