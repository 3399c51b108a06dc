//! Build requirements: checks compilers, headers and libraries, and names the packages that have
//! the missing ones.
//!
//! This module must not install anything.

use super::command;
use super::provider::Session;
use super::table::Need;

/// The packages of all requirements that aren't met. Runs the compiler and pkg-config, so it is
/// called only before a build.
pub fn missing_packages(needs: &[String], session: &Session<'_>) -> Vec<String> {
    let missing = needs.iter().filter_map(|name| session.table.need.get(name)).filter(|need| !is_met(need, session));
    missing.flat_map(|need| need.apt.iter().cloned()).collect()
}

fn is_met(need: &Need, session: &Session<'_>) -> bool {
    let exists = |name: &String| session.find(name).is_some();
    need.command.as_ref().is_none_or(exists)
        && need
            .header
            .as_ref()
            .is_none_or(|header| succeeds(session, "cc", &["-E", "-include", header, "-x", "c", "/dev/null"]))
        && need.library.as_ref().is_none_or(|library| succeeds(session, "pkg-config", &["--exists", library]))
}

fn succeeds(session: &Session<'_>, program: &str, arguments: &[&str]) -> bool {
    let Some(path) = session.find(program) else { return false };
    let mut command = command::program(path);
    command.args(arguments);
    command::query(command).is_ok_and(|output| output.status.success())
}
