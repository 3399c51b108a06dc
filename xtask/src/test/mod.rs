//! `cargo xtask test`: runs the tests that have to pass before a change is merged, step by step.
//!
//! A step's output goes to a log file. Standard output has a line for each step, failures, skipped
//! tests with their reasons, and totals.

mod audit;
mod clusters;
mod faults;
mod steps;
mod summary;

use crate::workspace::Workspace;
use crate::{exit_code, run, vm};
use anyhow::{Result, bail};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use steps::{Job, Outcome, STEPS, Step};
use summary::Summary;

/// The number of lines of a failed step's log that are shown.
const TAIL: usize = 100;

/// The arguments of `test`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// Run only this step; can be given more than once.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// List the steps.
    #[arg(long)]
    list: bool,
    /// Run the long cases as well: all ages of the contract, all moments of interrupts, all faults
    /// (hours), with `kubernix` and plugins in release mode.
    #[arg(long)]
    all: bool,
    /// Write results and times as JSON to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Other {
    /// Boot a cluster in an emulated Debian machine with systemd and cgroup v2 (up to a quarter of
    /// an hour; not part of the rest).
    Vm(vm::Args),
    /// Inject faults into real clusters and check that they recover: docs/faults.md (more than an
    /// hour; the step `faults` is a selection of it).
    Faults(faults::Args),
    /// Run end-to-end tests: the step `e2e`, or a part of it.
    E2e(clusters::Args),
}

/// Runs the selected steps.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.other {
        Some(Other::Vm(args)) => return vm::run(args),
        Some(Other::Faults(args)) => return faults::run(args),
        Some(Other::E2e(args)) => return clusters::run(args),
        None => {}
    }
    let steps = selected(&args.only)?;
    if args.list {
        steps.iter().for_each(|step| println!("{:<10} {}", step.name, step.about));
        return exit_code(true);
    }
    let workspace = Workspace::load()?;
    let strict = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let started = Instant::now();
    let mut summary = Summary::default();
    for step in steps {
        if let Some(needed) = step.needs.filter(|needed| summary.failed.iter().any(|failed| failed == needed)) {
            println!("{:<10} not run: `{needed}` failed", step.name);
            summary.add_not_run(step.name);
            continue;
        }
        let started = Instant::now();
        let outcome = step_outcome(step, &workspace, args.all);
        summary.add(step.name, started.elapsed(), outcome);
    }
    summary.print();
    println!("all in {}", run::duration(started.elapsed()));
    let skipped_in_ci = strict && summary.counts.skipped() > 0;
    if skipped_in_ci {
        println!("failed: tests were skipped, and CI is set: there every test has to run");
    }
    if let Some(report) = &args.report {
        summary.write(report)?;
    }
    exit_code(summary.failed.is_empty() && !skipped_in_ci)
}

/// Runs a step and prints its result.
fn step_outcome(step: &Step, workspace: &Workspace, all: bool) -> Outcome {
    println!("{:<10} {}", step.name, step.about);
    let started = Instant::now();
    let log = match workspace.scratch("logs") {
        Ok(folder) => folder.join(format!("{}.log", step.name)),
        Err(error) => return Outcome::broken(&error),
    };
    // An old log could be taken for that of this run.
    if let Err(error) = std::fs::write(&log, "") {
        return Outcome::broken(&error.into());
    }
    let job = Job { workspace, log: &log, all };
    let mut outcome = (step.run)(&job).unwrap_or_else(|error| Outcome::broken(&error));
    if outcome.good && step.tests && outcome.counts.ran() == 0 {
        outcome.good = false;
        outcome.say = "no test ran".to_owned();
    }
    if !outcome.good {
        let tail = run::tail(&log, TAIL);
        if !tail.is_empty() {
            println!("---- the end of {}\n{tail}\n----", log.display());
        }
    }
    let verdict = if outcome.good { "ok" } else { "FAILED" };
    let say = if outcome.say.is_empty() { String::new() } else { format!(": {}", outcome.say) };
    println!("{:<10} {verdict} in {}{say}", step.name, run::duration(started.elapsed()));
    outcome
}

/// The steps of these names in the order of [`STEPS`]; all if none is named.
fn selected(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step `{unknown}`; there are {}", names.join(", "));
    }
    Ok(STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_in_their_own_order_and_unknown_ones_are_named() {
        let names = |only: &[&str]| -> Result<Vec<_>> {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            Ok(selected(&only)?.iter().map(|step| step.name).collect())
        };
        assert_eq!(names(&["e2e", "fmt"]).unwrap(), ["fmt", "e2e"]);
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert!(names(&["e3e"]).unwrap_err().to_string().contains("no step `e3e`; there are fmt, clippy"));
    }

    #[test]
    fn needed_steps_come_first() {
        for (at, step) in STEPS.iter().enumerate() {
            if let Some(needed) = step.needs {
                assert!(STEPS[..at].iter().any(|earlier| earlier.name == needed), "{} needs {needed}", step.name);
            }
        }
    }
}
