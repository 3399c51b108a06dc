//! The step `audit`: licences and sources of crates, and known vulnerabilities of crates and of the
//! pinned Go modules.
//!
//! It uses `cargo-deny` and `govulncheck` where they are installed. Their databases come from the
//! network: a part that can't be checked here is a skip that is counted and named, and no failure.

use super::steps::{Job, Outcome};
use super::summary::Counts;
use crate::run;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Advisories that don't apply, one a line: the ID, and the reason.
const IGNORED: &str = "toolchain/advisories.txt";
/// What the programs print if the network doesn't give them their database.
const NO_NETWORK: &[&str] = &[
    "failed to fetch advisory database",
    "dial tcp",
    "no such host",
    "i/o timeout",
    "connection refused",
    "TLS handshake",
    "HTTP GET",
];

/// How a part ended.
enum Part {
    Good,
    Bad(String),
    Skipped(String),
}

/// Runs all parts.
pub fn run(job: &Job<'_>) -> Result<Outcome> {
    let mut parts = vec![
        ("crates", deny(job, &["bans", "licenses", "sources"])?),
        ("advisories of crates", deny(job, &["advisories"])?),
    ];
    parts.push(("vulnerabilities of Go modules", vulnerabilities(job)?));
    let (mut counts, mut bad) = (Counts::default(), Vec::new());
    for (name, part) in parts {
        match part {
            Part::Good => {}
            Part::Bad(why) => bad.push(format!("{name}: {why}")),
            Part::Skipped(why) => {
                counts.allowed_skips.insert(format!("audit: {name}"), why);
            }
        }
    }
    let skipped = counts.allowed_skips.len();
    let say = match (bad.is_empty(), skipped) {
        (false, _) => bad.join("; "),
        (true, 0) => String::new(),
        (true, _) => format!("{skipped} of 3 parts skipped"),
    };
    Ok(Outcome { good: bad.is_empty(), counts, say })
}

/// `cargo deny check` of these subjects, as `deny.toml` has them.
fn deny(job: &Job<'_>, subjects: &[&str]) -> Result<Part> {
    if !is_installed("cargo-deny") {
        return Ok(Part::Skipped("cargo-deny is not installed: `cargo install --locked cargo-deny`".to_owned()));
    }
    let mut deny = run::cargo();
    deny.args(["deny", "check"]).args(subjects).current_dir(&job.workspace.root);
    let (good, text) = captured(&mut deny, job.log)?;
    Ok(match good {
        true => Part::Good,
        false if is_offline(&text) => Part::Skipped("its database can't be fetched".to_owned()),
        false => Part::Bad(format!("see {}", job.log.display())),
    })
}

/// Advisories for the versions that the pinned modules require, but for those that don't apply.
fn vulnerabilities(job: &Job<'_>) -> Result<Part> {
    if !is_installed("govulncheck") {
        let advice = "govulncheck is not installed: `go install golang.org/x/vuln/cmd/govulncheck@latest`";
        return Ok(Part::Skipped(advice.to_owned()));
    }
    let ignored = ignored(&job.workspace.root.join(IGNORED))?;
    let mut found = BTreeSet::new();
    for module in modules(&job.workspace.root.join("toolchain"))? {
        let mut check = run::command("govulncheck");
        check.args(["-scan", "module", "-format", "json"]).current_dir(&module);
        let (good, text) = captured(&mut check, job.log)?;
        if !good {
            return Ok(if is_offline(&text) {
                Part::Skipped("its database can't be fetched".to_owned())
            } else {
                Part::Bad(format!("govulncheck failed in {}: see {}", module.display(), job.log.display()))
            });
        }
        found.extend(findings(&text).filter(|id| !ignored.contains(*id)).map(str::to_owned));
    }
    Ok(if found.is_empty() {
        Part::Good
    } else {
        let found: Vec<_> = found.into_iter().collect();
        Part::Bad(format!("{}: raise the pins, or add a line with the reason to {IGNORED}", found.join(", ")))
    })
}

/// The folders with a `go.mod`.
fn modules(toolchain: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(toolchain).with_context(|| format!("can't read {}", toolchain.display()))?;
    let mut modules: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    modules.retain(|folder| folder.join("go.mod").is_file());
    modules.sort();
    Ok(modules)
}

/// The IDs in the file, which may be missing.
fn ignored(file: &Path) -> Result<BTreeSet<String>> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("can't read {}", file.display()))?,
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The IDs of the findings in govulncheck's JSON: each has a line `"osv": "GO-2025-1234",`.
fn findings(json: &str) -> impl Iterator<Item = &str> {
    let ids = json.lines().filter_map(|line| line.trim().strip_prefix("\"osv\": \"")?.split('"').next());
    ids.filter(|id| id.starts_with("GO-"))
}

/// Whether a program is on `PATH`.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_offline(text: &str) -> bool {
    NO_NETWORK.iter().any(|sign| text.contains(sign))
}

/// Runs a program to its end. Returns whether it succeeded, and what it printed.
fn captured(command: &mut std::process::Command, log: &Path) -> Result<(bool, String)> {
    let text = Mutex::new(String::new());
    let good = run::logged(command, log, |line| {
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    })?;
    Ok((good, text.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_from_the_json_of_govulncheck() {
        let json = "{\n  \"osv\": {\n    \"id\": \"GO-2024-1\"\n  }\n}\n{\n  \"finding\": {\n    \"osv\": \"GO-2024-2\",\n    \"trace\": []\n  }\n}\n";
        assert_eq!(findings(json).collect::<Vec<_>>(), ["GO-2024-2"]);
    }

    #[test]
    fn ignored_advisories_have_an_id_and_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("advisories.txt");
        assert!(ignored(&file).unwrap().is_empty());
        std::fs::write(&file, "# none of ours\nGO-2024-1 only on Windows\n\n").unwrap();
        assert_eq!(ignored(&file).unwrap().into_iter().collect::<Vec<_>>(), ["GO-2024-1"]);
    }

    #[test]
    fn a_database_that_cannot_be_fetched_is_no_finding() {
        assert!(is_offline("error: failed to fetch advisory database https://example.org"));
        assert!(!is_offline("error[vulnerability]: a bug in foo"));
    }
}
