//! The steps of `cargo xtask test`, in order.

use super::faults;
use super::summary::Counts;
use crate::workspace::{Workspace, executable};
use crate::{plugin, run, tidy};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The package of the end-to-end tests and goldens.
pub const TESTS: &str = "kubernix-tests";
/// Its test of the dry-run plans, which needs neither root nor binaries.
const GOLDENS: &str = "plan";
/// Its test of the contract over its ages, which needs neither root nor clusters.
const CONTRACT: &str = "contract";

/// Its test that breaks clusters on purpose: a step of its own.
pub const FAULTS: &str = "faults";

/// The components that are wrong in one way each, which the conformance kit is held against.
const SAMPLES: &str = "kubernix-samples";

/// A step.
pub struct Step {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The step without which it can't run.
    pub needs: Option<&'static str>,
    /// It runs tests: none at all is a failure.
    pub tests: bool,
    /// Does it; output goes to the log file.
    pub run: fn(&Workspace, &Path) -> Result<Outcome>,
}

/// How a step went.
pub struct Outcome {
    /// Well.
    pub good: bool,
    /// The tests in it.
    pub counts: Counts,
    /// What its line says.
    pub say: String,
}

impl Outcome {
    /// A step that couldn't be run at all.
    pub fn broken(error: &anyhow::Error) -> Self {
        Self { good: false, counts: Counts::default(), say: format!("{error:#}") }
    }

    fn plain(good: bool) -> Self {
        Self { good, counts: Counts::default(), say: String::new() }
    }
}

/// All of them.
pub const STEPS: &[Step] = &[
    Step { name: "fmt", about: "every file is formatted", needs: None, tests: false, run: fmt },
    Step { name: "clippy", about: "no warning", needs: None, tests: false, run: clippy },
    Step { name: "tidy", about: "the invariants hold", needs: None, tests: false, run: check_tidy },
    Step { name: "unit", about: "unit and doc tests", needs: None, tests: true, run: unit },
    Step { name: "contract", about: "old and new plugins, and hostile ones", needs: None, tests: true, run: contract },
    Step { name: "build", about: "`kubernix` in release mode", needs: None, tests: false, run: build },
    Step { name: "goldens", about: "plans are what they were", needs: Some("build"), tests: true, run: goldens },
    Step { name: "toolchain", about: "the cluster's binaries", needs: Some("build"), tests: false, run: toolchain },
    Step { name: "e2e", about: "real clusters", needs: Some("toolchain"), tests: true, run: e2e },
    Step {
        name: "faults",
        about: "real clusters that are broken on purpose",
        needs: Some("toolchain"),
        tests: true,
        run: selected_faults,
    },
    Step {
        name: "plugins",
        about: "real clusters whose every component is a plugin",
        needs: Some("toolchain"),
        tests: true,
        run: plugins,
    },
];

fn fmt(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    quiet(workspace, log, &["fmt", "--all", "--check"])
}

fn clippy(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    quiet(workspace, log, &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny=warnings"])
}

fn check_tidy(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let report = tidy::check(workspace)?;
    std::fs::write(log, report.to_string())?;
    Ok(Outcome { say: report.sum(), ..Outcome::plain(report.good()) })
}

fn unit(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let mut test = cargo_test(workspace, &["--workspace", "--exclude", TESTS]);
    counted(&mut test, log, |_| false)
}

fn contract(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    // The conformance kit as well, over the real boundary: cargo builds no shared libraries for a test that is named.
    let libraries = ["--package", SAMPLES, "--features", "kubernix-samples/libraries"];
    let built = quiet(workspace, log, &[&["build", "--locked", "--examples"][..], &libraries].concat())?;
    if !built.good {
        return Ok(built);
    }
    let libraries = [&libraries[..], &["--test", "libraries"]].concat();
    let mut test = cargo_test(workspace, &[&["--package", TESTS, "--test", CONTRACT][..], &libraries].concat());
    counted(&mut test, log, |_| false)
}

fn build(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let messages = Mutex::new(String::new());
    let good = run::logged(&mut workspace.build_command(), log, |line| {
        if line.starts_with('{') {
            let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
            messages.push_str(line);
            messages.push('\n');
        }
    })?;
    let messages = messages.into_inner().unwrap_or_else(PoisonError::into_inner);
    if good {
        let path = executable(&messages).context("cargo built `kubernix` without saying where")?;
        std::fs::write(log, format!("built {}\n", path.display()))?;
    }
    Ok(Outcome::plain(good))
}

fn goldens(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let mut test = cargo_test(workspace, &["--package", TESTS, "--lib", "--test", GOLDENS]);
    test.env("KUBERNIX_BIN", binary(workspace)?);
    counted(&mut test, log, |_| false)
}

fn toolchain(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let binary = binary(workspace)?;
    // What is built at all, used by default or not: the first build takes longer than a test waits.
    let list = run::output(run::command(&binary).args(["toolchain", "list", "--output", "json"]))?;
    let known: Vec<serde_json::Value> = serde_json::from_str(&list).context("`kubernix toolchain list` isn't JSON")?;
    let built = known.iter().filter(|tool| tool["version"].is_string()).filter_map(|tool| tool["name"].as_str());
    let mut ensure = run::command(&binary);
    ensure.args(["toolchain", "ensure"]).args(built).current_dir(&workspace.root);
    // Cold, this builds Kubernetes: 25 minutes that somebody watches.
    Ok(Outcome::plain(run::logged(&mut ensure, log, |line| shown("  ", line))?))
}

fn e2e(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let mut test = cargo_test(workspace, &["--package", TESTS]);
    let others = [GOLDENS, CONTRACT, FAULTS];
    for name in workspace.package(TESTS)?.tests.iter().filter(|name| !others.contains(&name.as_str())) {
        test.args(["--test", name]);
    }
    // One cluster at a time, but where a test boots several: two cores are few, and a test that fails leaves a clear log.
    test.args(["--", "--test-threads=1", "--show-output"]).env("KUBERNIX_BIN", binary(workspace)?);
    counted(&mut test, log, is_test)
}

/// A selection of all faults that takes at most five minutes.
fn selected_faults(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    const SHOWN: [&str; 4] = ["faults ", "failed: ", "seed: ", "replay: "];
    counted(&mut faults::test(workspace)?, log, |line| {
        is_test(line) || SHOWN.iter().any(|start| line.starts_with(start))
    })
}

/// The tests of pods, Services and state once more, on a `kubernix` that has no component compiled in.
fn plugins(workspace: &Workspace, log: &Path) -> Result<Outcome> {
    let kubernix = workspace.build_without(&[])?;
    let libraries = plugin::build(workspace, &kubernix, &[])?;
    let folder = libraries.first().and_then(|library| library.parent()).context("there is no plugin")?;
    let mut test = cargo_test(workspace, &["--package", TESTS, "--test", "e2e_cluster", "--test", "e2e_state"]);
    test.args(["--test", "e2e_plugin_check"]);
    test.args(["--", "--test-threads=1", "--show-output"]);
    test.env("KUBERNIX_BIN", kubernix).env("KUBERNIX_TEST_PLUGINS", folder);
    counted(&mut test, log, is_test)
}

/// `cargo test` with these arguments.
pub fn cargo_test(workspace: &Workspace, args: &[&str]) -> Command {
    let mut test = run::cargo();
    test.args(["test", "--locked", "--no-fail-fast"]).args(args).current_dir(&workspace.root);
    test
}

/// A cargo command of which only failure is worth words.
fn quiet(workspace: &Workspace, log: &Path, args: &[&str]) -> Result<Outcome> {
    let mut cargo = run::cargo();
    cargo.args(args).current_dir(&workspace.root);
    Ok(Outcome::plain(run::logged(&mut cargo, log, |_| ())?))
}

/// Whether a line says what became of one test.
fn is_test(line: &str) -> bool {
    line.starts_with("test ") && !line.starts_with("test result:")
}

/// Runs tests and adds up what their closing lines say. `visible` picks the lines that are worth showing meanwhile.
fn counted(test: &mut Command, log: &Path, visible: fn(&str) -> bool) -> Result<Outcome> {
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

/// A line while a step runs. Output that nobody reads is no reason to fail.
fn shown(indent: &str, line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{indent}{line}").and_then(|()| stdout.flush());
}

/// The `kubernix` that the step `build` built, or an earlier run of it, made fresh.
fn binary(workspace: &Workspace) -> Result<PathBuf> {
    workspace.build()
}
