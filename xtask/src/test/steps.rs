//! The list of steps of `cargo xtask test`, and the steps that need no cluster.

use super::summary::Counts;
use super::{audit, clusters};
use crate::workspace::{Profile, Workspace, executable};
use crate::{run, tidy};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The package of the end-to-end tests and goldens.
pub const TESTS: &str = "kubernix-tests";
/// Its test of the dry-run plans, which needs neither root nor binaries.
const GOLDENS: &str = "plan";
/// Its test of the contract over its ages, which needs neither root nor clusters.
const CONTRACT: &str = "contract";
/// Set for tests that have long cases: these run as well.
const ALL: &str = "KUBERNIX_TEST_ALL";

/// A step.
pub struct Step {
    /// Its name in `--only`.
    pub name: &'static str,
    /// Its description, in a line.
    pub about: &'static str,
    /// The step that it needs.
    pub needs: Option<&'static str>,
    /// Whether it runs tests: then it fails if no test ran.
    pub tests: bool,
    /// Runs it.
    pub run: fn(&Job<'_>) -> Result<Outcome>,
}

/// The input of a step.
pub struct Job<'a> {
    /// The checkout.
    pub workspace: &'a Workspace,
    /// The file for the step's output.
    pub log: &'a Path,
    /// Run the long cases as well.
    pub all: bool,
}

impl Job<'_> {
    /// The profile of the `kubernix` under test.
    pub fn profile(&self) -> Profile {
        if self.all { Profile::Release } else { Profile::Dev }
    }

    /// `cargo test` with these arguments.
    pub fn cargo_test(&self, args: &[&str]) -> Command {
        let mut test = cargo_test(self.workspace, args);
        if self.all {
            test.env(ALL, "1");
        }
        test
    }
}

/// The result of a step.
pub struct Outcome {
    /// Whether it passed.
    pub good: bool,
    /// The counts of its tests.
    pub counts: Counts,
    /// The text of its line.
    pub say: String,
}

impl Outcome {
    /// The result of a step that couldn't run.
    pub fn broken(error: &anyhow::Error) -> Self {
        Self { good: false, counts: Counts::default(), say: format!("{error:#}") }
    }

    /// The result of a step without tests.
    pub fn plain(good: bool) -> Self {
        Self { good, counts: Counts::default(), say: String::new() }
    }
}

/// All steps.
pub const STEPS: &[Step] = &[
    Step { name: "fmt", about: "every file is formatted", needs: None, tests: false, run: fmt },
    Step { name: "clippy", about: "no warning", needs: None, tests: false, run: clippy },
    Step { name: "tidy", about: "the invariants hold", needs: None, tests: false, run: check_tidy },
    Step { name: "audit", about: "no known vulnerability, no new licence", needs: None, tests: false, run: audit::run },
    Step { name: "build", about: "the `kubernix` under test", needs: None, tests: false, run: build },
    Step { name: "unit", about: "unit and doc tests", needs: Some("build"), tests: true, run: unit },
    Step { name: "contract", about: "old and new plugins, and hostile ones", needs: None, tests: true, run: contract },
    Step { name: "goldens", about: "plans equal the goldens", needs: Some("build"), tests: true, run: goldens },
    Step { name: "toolchain", about: "the cluster's binaries", needs: Some("build"), tests: false, run: toolchain },
    Step { name: "e2e", about: "real clusters", needs: Some("toolchain"), tests: true, run: clusters::e2e },
    Step {
        name: "faults",
        about: "faults in real clusters",
        needs: Some("toolchain"),
        tests: true,
        run: clusters::faults,
    },
    Step {
        name: "plugins",
        about: "a real cluster with all components as plugins",
        needs: Some("toolchain"),
        tests: true,
        run: clusters::plugins,
    },
];

fn fmt(job: &Job<'_>) -> Result<Outcome> {
    quiet(job, &["fmt", "--all", "--check"])
}

fn clippy(job: &Job<'_>) -> Result<Outcome> {
    quiet(job, &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny=warnings"])
}

fn check_tidy(job: &Job<'_>) -> Result<Outcome> {
    let report = tidy::check(job.workspace)?;
    std::fs::write(job.log, report.to_string())?;
    Ok(Outcome { say: report.sum(), ..Outcome::plain(report.good()) })
}

fn unit(job: &Job<'_>) -> Result<Outcome> {
    // Each step names the whole workspace, so that cargo builds dependencies with the same features
    // in all steps.
    let mut test = job.cargo_test(&["--workspace", "--lib"]);
    for package in job.workspace.packages.iter().filter(|package| package.name != TESTS) {
        let binaries = package.binaries.iter().map(|name| ["--bin", name]);
        let tests = package.tests.iter().map(|name| ["--test", name]);
        test.args(binaries.chain(tests).flatten());
    }
    let unit = counted(&mut test, job.log, |_| false)?;
    let doc = counted(&mut job.cargo_test(&["--workspace", "--doc"]), job.log, |_| false)?;
    let good = unit.good && doc.good;
    let mut counts = unit.counts;
    counts.add(doc.counts, doc.good);
    Ok(Outcome { good, say: counts.to_string(), counts })
}

fn contract(job: &Job<'_>) -> Result<Outcome> {
    // The conformance kit as well, with plugins as shared libraries: cargo doesn't build them for a
    // named test.
    let libraries = ["--workspace", "--features", "kubernix-samples/libraries"];
    let built = quiet(job, &[&["build", "--locked", "--examples"][..], &libraries].concat())?;
    if !built.good {
        return Ok(built);
    }
    let mut test = job.cargo_test(&[&libraries[..], &["--test", CONTRACT, "--test", "libraries"]].concat());
    counted(&mut test, job.log, |_| false)
}

fn build(job: &Job<'_>) -> Result<Outcome> {
    let messages = Mutex::new(String::new());
    let good = run::logged(&mut job.workspace.build_command(job.profile()), job.log, |line| {
        if line.starts_with('{') {
            let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
            messages.push_str(line);
            messages.push('\n');
        }
    })?;
    let messages = messages.into_inner().unwrap_or_else(PoisonError::into_inner);
    if good {
        let path = executable(&messages).context("cargo built `kubernix` without saying where")?;
        std::fs::write(job.log, format!("built {}\n", path.display()))?;
    }
    Ok(Outcome::plain(good))
}

fn goldens(job: &Job<'_>) -> Result<Outcome> {
    let mut test = job.cargo_test(&["--workspace", "--test", GOLDENS]);
    test.env("KUBERNIX_BIN", job.workspace.build(job.profile())?);
    counted(&mut test, job.log, |_| false)
}

/// Packages of the distribution that tests need. They are installed before, because some tests have
/// no network.
const INSTALLED: [&str; 2] = ["podman", "busybox"];

fn toolchain(job: &Job<'_>) -> Result<Outcome> {
    let binary = job.workspace.build(job.profile())?;
    // All tools that are built, also those that aren't used by default: the first build exceeds the
    // time limits of tests.
    let list = run::output(run::command(&binary).args(["toolchain", "list", "--output", "json"]))?;
    let known: Vec<serde_json::Value> = serde_json::from_str(&list).context("`kubernix toolchain list` isn't JSON")?;
    let built = known.iter().filter(|tool| tool["version"].is_string()).filter_map(|tool| tool["name"].as_str());
    let mut ensure = run::command(&binary);
    ensure.args(["toolchain", "ensure"]).args(built).args(INSTALLED).current_dir(&job.workspace.root);
    // The first time this builds Kubernetes for minutes, so its progress is shown.
    Ok(Outcome::plain(run::logged(&mut ensure, job.log, |line| shown("  ", line))?))
}

/// `cargo test` with these arguments.
pub fn cargo_test(workspace: &Workspace, args: &[&str]) -> Command {
    let mut test = run::cargo();
    test.args(["test", "--locked", "--no-fail-fast"]).args(args).current_dir(&workspace.root);
    test
}

/// A cargo command whose output matters only if it fails.
fn quiet(job: &Job<'_>, args: &[&str]) -> Result<Outcome> {
    let mut cargo = run::cargo();
    cargo.args(args).current_dir(&job.workspace.root);
    Ok(Outcome::plain(run::logged(&mut cargo, job.log, |_| ())?))
}

/// Runs tests and counts their results by their closing lines. `visible` selects the lines that are
/// shown meanwhile.
pub fn counted(test: &mut Command, log: &Path, visible: fn(&str) -> bool) -> Result<Outcome> {
    let counts = Mutex::new(Counts::default());
    let good = run::logged(test, log, |line| {
        counts.lock().unwrap_or_else(PoisonError::into_inner).read(line);
        if visible(line) {
            shown("  ", line);
        }
    })?;
    let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let say = counts.to_string();
    Ok(Outcome { good: good && counts.failed == 0, counts, say })
}

/// Prints a line while a step runs. A closed standard output isn't an error.
pub fn shown(indent: &str, line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{indent}{line}").and_then(|()| stdout.flush());
}
