//! The user's own binaries: used if they are executable and their version fits, rejected with the
//! reason otherwise.
//!
//! This module must not search for anything: the user gave the path.

use super::error::{OverrideError, OverrideProblem};
use super::provider::{Found, Session};
use super::table::ToolSpec;
use semver::Version;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Checks a binary, or a group's directory, that the user gave for a tool.
///
/// # Errors
/// It can't be used.
pub fn check(name: &str, path: &Path, any_version: bool, session: &Session<'_>) -> Result<Found, OverrideError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let error = |problem| OverrideError { name: name.to_owned(), path: path.clone(), problem };
    let Some((tool, spec)) = session.table.find(name) else {
        is_program(&path).map_err(error)?;
        return Ok(Found { path, version: None });
    };
    if tool != name {
        return Err(error(OverrideProblem::PartOfGroup { group: tool.to_owned() }));
    }
    if !spec.is_group() {
        let version = check_program(&path, spec, any_version, session).map_err(error)?;
        return Ok(Found { path, version });
    }
    if !fs::metadata(&path).map_err(|e| error(unreadable(&e)))?.is_dir() {
        return Err(error(OverrideProblem::NotADirectory));
    }
    let mut version = None;
    for program in spec.programs(tool) {
        let path = path.join(program);
        let checked = check_program(&path, spec, any_version, session);
        version = checked.map_err(|problem| OverrideError { name: name.to_owned(), path, problem })?;
    }
    Ok(Found { path, version })
}

fn check_program(
    path: &Path,
    spec: &ToolSpec,
    any_version: bool,
    session: &Session<'_>,
) -> Result<Option<Version>, OverrideProblem> {
    is_program(path)?;
    if spec.after.is_none() {
        return Ok(None);
    }
    match session.version(path, spec) {
        Ok((version, _)) if any_version || fits(&version, spec, session) => Ok(Some(version)),
        Ok((version, _)) => {
            Err(OverrideProblem::WrongVersion { found: version.to_string(), wanted: wanted(spec, session) })
        }
        Err(_) if any_version => Ok(None),
        Err(error) => Err(OverrideProblem::NoVersion { reason: error.to_string() }),
    }
}

fn is_program(path: &Path) -> Result<(), OverrideProblem> {
    let meta = fs::metadata(path).map_err(|e| unreadable(&e))?;
    if !meta.is_file() {
        return Err(OverrideProblem::NotAFile);
    }
    match nix::unistd::access(path, nix::unistd::AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(_) => Err(OverrideProblem::NotExecutable { mode: meta.permissions().mode() & 0o7777 }),
    }
}

fn unreadable(error: &std::io::Error) -> OverrideProblem {
    match error.kind() {
        ErrorKind::NotFound => OverrideProblem::NotFound,
        _ => OverrideProblem::Unreadable { reason: error.to_string() },
    }
}

/// Whether a version fits. The rule is looser than for programs on PATH: only the minor version
/// must be right or, if the table has no version of its own, its requirement must be met. A
/// pre-release of a version counts as that version.
fn fits(version: &Version, spec: &ToolSpec, session: &Session<'_>) -> bool {
    match (session.table.version(spec), &spec.requires) {
        (Some(ours), _) => (version.major, version.minor) == (ours.major, ours.minor),
        (None, Some(requires)) => requires.matches(&Version::new(version.major, version.minor, version.patch)),
        (None, None) => true,
    }
}

fn wanted(spec: &ToolSpec, session: &Session<'_>) -> String {
    match (session.table.version(spec), &spec.requires) {
        (Some(ours), _) => format!("{}.{}", ours.major, ours.minor),
        (None, requires) => requires.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}
