//! The step `audit`: checks licences and sources of crates, and known vulnerabilities of crates and
//! of the pinned Go modules.
//!
//! It uses `cargo-deny` and `govulncheck` if they are installed. Their databases come from the
//! network: a part that can't be checked here is reported as skipped, not as failed.

use super::steps::{Job, Outcome};
use super::summary::Counts;
use crate::run;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Advisories that don't apply: a line has the ID and the reason.
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

/// The result of a part.
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
        (true, 3) => "nothing was checked".to_owned(),
        (true, _) => format!("{skipped} of 3 parts skipped"),
    };
    Ok(Outcome { good: bad.is_empty(), counts, say })
}

/// Runs `cargo deny check` for these subjects, configured by `deny.toml`.
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

/// Checks the versions of the pinned modules for advisories, except for those that don't apply.
fn vulnerabilities(job: &Job<'_>) -> Result<Part> {
    if !is_installed("govulncheck") {
        let advice = "govulncheck is not installed: `go install golang.org/x/vuln/cmd/govulncheck@latest`";
        return Ok(Part::Skipped(advice.to_owned()));
    }
    let ignored = ignored(&job.workspace.root.join(IGNORED))?;
    let toolchain = job.workspace.root.join("toolchain");
    let table = toolchain.join("tools.toml");
    let table = std::fs::read_to_string(&table).with_context(|| format!("can't read {}", table.display()))?;
    let mut found = BTreeSet::new();
    for (name, module) in modules(&table)? {
        let mut check = run::command("govulncheck");
        check.args(["-scan", "package", "-format", "json"]).current_dir(toolchain.join(&name));
        // govulncheck takes a module from the packages that it loads, never from go.mod alone.
        check.arg(format!("-tags={}", module.tags.join(","))).args(&module.packages);
        match run::output(&mut check).map_err(|error| format!("{error:#}")) {
            Ok(json) => found.extend(findings(&json)?.into_iter().filter(|id| !ignored.contains(id))),
            Err(error) if is_offline(&error) => return Ok(Part::Skipped("its database can't be fetched".to_owned())),
            Err(error) => return Ok(Part::Bad(format!("toolchain/{name}: {error}"))),
        }
    }
    Ok(if found.is_empty() {
        Part::Good
    } else {
        let found: Vec<_> = found.into_iter().collect();
        Part::Bad(format!("{}: raise the pins, or add a line with the reason to {IGNORED}", found.join(", ")))
    })
}

/// What is built from a pinned Go module.
#[derive(Debug, Default, PartialEq, Eq)]
struct Module {
    tags: Vec<String>,
    packages: BTreeSet<String>,
}

/// The Go modules of `tools.toml`, by name.
fn modules(table: &str) -> Result<BTreeMap<String, Module>> {
    let table: toml::Table = table.parse().context("toolchain/tools.toml")?;
    let strings = |value: &toml::Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let mut modules = BTreeMap::<String, Module>::new();
    for (name, module) in table.get("go").and_then(toml::Value::as_table).into_iter().flatten() {
        let tags = module.get("tags").map(strings).unwrap_or_default();
        modules.insert(name.clone(), Module { tags, ..Module::default() });
    }
    for (name, tool) in table.get("tool").and_then(toml::Value::as_table).into_iter().flatten() {
        let Some(module) = tool.get("go").and_then(toml::Value::as_str) else { continue };
        let module = modules
            .get_mut(module)
            .with_context(|| format!("toolchain/tools.toml has no `go.{module}`, of `{name}`"))?;
        module.packages.extend(tool.get("package").and_then(toml::Value::as_str).map(str::to_owned));
        module.packages.extend(tool.get("packages").map(strings).unwrap_or_default());
    }
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

/// The IDs of the advisories in govulncheck's output, a sequence of JSON objects, that are about a
/// package which is built. It also lists those about other packages of the same modules.
fn findings(json: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for message in serde_json::Deserializer::from_str(json).into_iter::<serde_json::Value>() {
        let finding = &message.context("the output of govulncheck isn't JSON")?["finding"];
        if let (Some(id), true) = (finding["osv"].as_str(), finding["trace"][0]["package"].is_string()) {
            found.insert(id.to_owned());
        }
    }
    Ok(found)
}

/// Whether a program is on `PATH`.
fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_offline(text: &str) -> bool {
    NO_NETWORK.iter().any(|sign| text.contains(sign))
}

/// Runs a program until it exits. Returns whether it succeeded, and its output.
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
    fn findings_about_packages_that_are_built_are_read_from_the_json_of_govulncheck() {
        let json = r#"{"osv": {"id": "GO-2024-1"}}
            {"finding": {"osv": "GO-2024-2", "trace": [{"module": "a.org/b", "version": "v1.0.0"}]}}
            {"finding": {"osv": "GO-2024-3", "trace": [{"module": "a.org/b", "package": "a.org/b/c"}]}}"#;
        assert_eq!(findings(json).unwrap().into_iter().collect::<Vec<_>>(), ["GO-2024-3"]);
        assert!(findings("no such host").is_err());
    }

    #[test]
    fn packages_of_each_go_module_are_read_from_the_table() {
        let table = "[go.a]\ntags = [\"x\"]\n[tool.one]\ngo = \"a\"\npackage = \"a.org/one\"\n\
                     [tool.two]\ngo = \"a\"\npackages = [\"a.org/b\", \"a.org/c\"]\n[tool.three]\napt = [\"three\"]\n";
        let packages = ["a.org/b", "a.org/c", "a.org/one"].map(str::to_owned);
        let wanted = Module { tags: vec!["x".to_owned()], packages: packages.into() };
        assert_eq!(modules(table).unwrap(), [("a".to_owned(), wanted)].into());
        let error = modules("[tool.one]\ngo = \"b\"\n").unwrap_err().to_string();
        assert!(error.contains("no `go.b`, of `one`"), "{error}");
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
    fn a_missing_database_is_not_a_finding() {
        assert!(is_offline("error: failed to fetch advisory database https://example.org"));
        assert!(!is_offline("error[vulnerability]: a bug in foo"));
    }
}
