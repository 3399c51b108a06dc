//! Build requirements: whether a compiler, a header, a library is there, and which packages bring
//! it.
//!
//! This module must not install anything.

use super::command;
use super::provider::Session;
use super::table::Need;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The packages that are still needed to meet these requirements. Runs the compiler and pkg-config,
/// so it is asked before a build only.
pub fn missing_packages(needs: &[String], session: &Session<'_>) -> Vec<String> {
    let missing = needs.iter().filter_map(|name| session.table.need.get(name)).filter(|need| !is_met(need, session));
    missing.flat_map(|need| need.apt.iter().cloned()).collect()
}

fn is_met(need: &Need, session: &Session<'_>) -> bool {
    let there = |name: &String| session.find(name).is_some();
    need.command.as_ref().is_none_or(there)
        && need
            .header
            .as_ref()
            .is_none_or(|header| works(session, "cc", &["-E", "-include", header, "-x", "c", "/dev/null"]))
        && need.library.as_ref().is_none_or(|library| works(session, "pkg-config", &["--exists", library]))
}

fn works(session: &Session<'_>, program: &str, arguments: &[&str]) -> bool {
    let Some(path) = session.find(program) else { return false };
    let mut command = command::program(path);
    command.args(arguments);
    command::answer(command, PATIENCE).is_ok_and(|answer| answer.status.success())
}
