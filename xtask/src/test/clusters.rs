//! The steps that boot clusters, and `cargo xtask test e2e`.

use super::faults;
use super::steps::{Job, Outcome, counted, shown};
use super::summary::Summary;
use crate::exit_code;
use crate::plugin;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// The test binary with all end-to-end tests.
const E2E: &str = "e2e";

/// The arguments of `test e2e`.
#[derive(clap::Args)]
pub struct Args {
    /// Only tests with this text in their name: `state::`, `containerd`.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The tests of the step `plugins`: every component is a plugin.
    #[arg(long)]
    plugins: bool,
    /// The long cases as well, with `kubernix` in release mode.
    #[arg(long)]
    all: bool,
    /// Write the result as JSON to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs end-to-end tests, and prints their results as they come.
pub fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let (name, log) = (if args.plugins { "plugins" } else { E2E }, workspace.scratch("logs")?.join("e2e.log"));
    std::fs::write(&log, "")?;
    let job = Job { workspace: &workspace, log: &log, all: args.all };
    let started = Instant::now();
    let mut test = if args.plugins { plugins_command(&job)? } else { e2e_command(&job)? };
    test.args(&args.only);
    let outcome = counted(&mut test, &log, is_visible)?;
    if !outcome.good {
        shown("", &format!("{}: the log with the output of failed tests", log.display()));
    }
    let good = outcome.good;
    let mut summary = Summary::default();
    summary.add(name, started.elapsed(), outcome);
    summary.print();
    if let Some(report) = &args.report {
        summary.write(report)?;
    }
    exit_code(good)
}

/// Runs all end-to-end tests.
pub fn e2e(job: &Job<'_>) -> Result<Outcome> {
    counted(&mut e2e_command(job)?, job.log, is_visible)
}

fn e2e_command(job: &Job<'_>) -> Result<Command> {
    let mut test = job.cargo_test(&["--workspace", "--test", E2E, "--"]);
    test.env("KUBERNIX_BIN", job.workspace.build(job.profile())?);
    Ok(test)
}

/// Runs a selection of faults that takes at most five minutes, or all faults.
pub fn faults(job: &Job<'_>) -> Result<Outcome> {
    const SHOWN: [&str; 4] = ["faults ", "failed: ", "seed: ", "replay: "];
    let mut test = faults::test(job.workspace, job.profile())?;
    if job.all {
        test.env("KUBERNIX_FAULTS_LONG", "1");
    }
    counted(&mut test, job.log, |line| is_visible(line) || SHOWN.iter().any(|start| line.starts_with(start)))
}

/// Runs the tests of a running cluster and of its state again, with a `kubernix` without
/// compiled-in components.
pub fn plugins(job: &Job<'_>) -> Result<Outcome> {
    counted(&mut plugins_command(job)?, job.log, is_visible)
}

fn plugins_command(job: &Job<'_>) -> Result<Command> {
    let kubernix = job.workspace.build_without(job.profile(), &[])?;
    let libraries = plugin::build(job.workspace, job.profile(), &kubernix, &[])?;
    let folder = libraries.first().and_then(|library| library.parent()).context("there is no plugin")?;
    let mut test = job.cargo_test(&["--workspace", "--test", E2E, "--"]);
    test.env("KUBERNIX_BIN", kubernix).env("KUBERNIX_TEST_PLUGINS", folder);
    Ok(test)
}

/// Whether a line is shown while the tests run: the result of a test, and how many run at once.
fn is_visible(line: &str) -> bool {
    line.starts_with("test ") && !line.starts_with("test result:") || line.contains(" tests at once; ")
}
