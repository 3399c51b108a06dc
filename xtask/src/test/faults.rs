//! `cargo xtask test faults`: runs the fault suite against real clusters, all of it, for hours, or
//! single faults of an earlier run.

use super::steps;
use crate::workspace::{Profile, Workspace};
use crate::{exit_code, run};
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The test binary of the fault suite.
const FAULTS: &str = "faults";

/// The arguments of `test faults`.
#[derive(clap::Args)]
pub struct Args {
    /// The seed of all choices: the same seed injects the same faults.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Only these faults of one part, in the form of a report: `process:3,7`.
    #[arg(long, value_name = "PART:N,...")]
    faults: Option<String>,
    /// Only tests with this text in their name.
    #[arg(long, value_name = "TEXT", conflicts_with = "faults")]
    only: Option<String>,
    /// The selection of `cargo xtask test`, in at most five minutes.
    #[arg(long)]
    short: bool,
    /// Continue with the next seeds for this many hours, even after failures.
    #[arg(long, value_name = "HOURS", conflicts_with = "faults", value_parser = hours)]
    soak: Option<Duration>,
    /// Text, or JSON with every fault.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Reads a number of hours.
fn hours(text: &str) -> Result<Duration, String> {
    let hours: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of hours"))?;
    let wrong = |_| format!("`{text}` hours is not a valid duration: give a positive number");
    Duration::try_from_secs_f64(hours * 3600.0).map_err(wrong)
}

/// Injects faults. Prints text as it comes, or JSON at the end.
pub fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let report = workspace.scratch("faults")?.join("report.json");
    let begun = Instant::now();
    let (mut rounds, mut good) = (Vec::new(), true);
    for seed in args.seed.. {
        // An old report could be taken for that of this round.
        if report.exists() {
            std::fs::remove_file(&report).with_context(|| format!("can't remove {}", report.display()))?;
        }
        let mut test = test(&workspace, Profile::Dev)?;
        test.env("KUBERNIX_FAULTS_SEED", seed.to_string()).env("KUBERNIX_FAULTS_REPORT", &report);
        if !args.short {
            test.env("KUBERNIX_FAULTS_LONG", "1");
        }
        if let Some(faults) = &args.faults {
            test.env("KUBERNIX_FAULTS_ONLY", faults);
        }
        test.arg("--").args(&args.only);
        good &= run_tests(&mut test, args.output)?;
        rounds.push(read(&report)?);
        if args.soak.is_none_or(|time| begun.elapsed() >= time) {
            break;
        }
    }
    if args.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&json!({ "rounds": rounds }))?);
    } else if rounds.len() > 1 {
        println!("{}", sum(&rounds));
    }
    exit_code(good)
}

/// The command of the suite, without options. Builds `kubernix` and the preloaded library before,
/// which the tests find in their target directory.
pub fn test(workspace: &Workspace, profile: Profile) -> Result<Command> {
    let mut build = run::cargo();
    build.args(["build", "--locked", "--package", "kubernix-preload", "--quiet"]).current_dir(&workspace.root);
    run::checked(&mut build)?;
    let mut test = steps::cargo_test(workspace, &["--workspace", "--test", FAULTS]);
    test.env("KUBERNIX_BIN", workspace.build(profile)?);
    Ok(test)
}

/// Runs the tests. If the result is JSON, their output goes to standard error.
fn run_tests(test: &mut Command, output: Output) -> Result<bool> {
    let name = run::shown(test);
    if output == Output::Json {
        test.stdout(std::io::stderr());
    }
    let status = test.stdin(Stdio::null()).status().with_context(|| format!("can't start `{name}`"))?;
    Ok(status.success())
}

fn read(report: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(report);
    let text = text.with_context(|| format!("the tests ended without a report in {}", report.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} isn't JSON", report.display()))
}

/// The totals of several rounds, and the commands that repeat failures.
fn sum(rounds: &[Value]) -> String {
    let parts = rounds.iter().flat_map(|round| round["parts"].as_array().into_iter().flatten());
    let (mut injected, mut survived) = (0, 0);
    for part in parts {
        injected += part["injected"].as_u64().unwrap_or_default();
        survived += part["survived"].as_u64().unwrap_or_default();
    }
    let mut text = format!("{} rounds: {injected} faults injected, {survived} survived", rounds.len());
    for round in rounds {
        for replay in round["replay"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            text += &format!("\nreplay: {replay}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_be_fractions() {
        assert_eq!(hours("0.5"), Ok(Duration::from_secs(1800)));
        assert!(hours("-1").is_err() && hours("day").is_err() && hours("inf").is_err());
    }

    #[test]
    fn rounds_are_summed_up() {
        let round = |survived: u64, replay: &[&str]| json!({ "parts": [{ "part": "process", "injected": 5, "survived": survived }], "replay": replay });
        let text = sum(&[round(5, &[]), round(4, &["cargo xtask test faults --seed 2 --faults process:3"])]);
        let wanted =
            "2 rounds: 10 faults injected, 9 survived\nreplay: cargo xtask test faults --seed 2 --faults process:3";
        assert_eq!(text, wanted);
    }
}
