//! Counts the results of tests by the output of test binaries, and adds up times.

use super::steps::Outcome;
use crate::run;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Printed by a test that can't run on this machine: `SKIPPED: TEST: REASON`.
const SKIPPED: &str = "SKIPPED: ";
/// Printed at the end of an end-to-end test: `TIME: TEST: SECONDS`.
const TIME: &str = "TIME: ";
/// The number of tests in the list of the slowest.
const SLOWEST: usize = 20;

/// Counts of tests. Displayed as `N passed, N failed, N skipped`.
#[derive(Debug, Default, PartialEq)]
pub struct Counts {
    passed: usize,
    /// Failed tests, and steps that failed without a failed test.
    pub failed: usize,
    /// Tests that the test binary ignored.
    ignored: usize,
    /// Tests that couldn't run here, with reasons. Their binaries count them as passed.
    pub skips: BTreeMap<String, String>,
    /// Checks that need a network or a program and didn't run, with reasons. They don't fail even
    /// in CI.
    pub allowed_skips: BTreeMap<String, String>,
    /// Seconds of tests, and of test binaries that don't report single tests.
    times: Vec<(String, f64)>,
    /// The test binary that runs, and whether it reports single tests.
    binary: Option<(String, bool)>,
}

impl Counts {
    /// Reads a line of output.
    pub fn read(&mut self, line: &str) {
        if let Some((passed, failed, ignored)) = closing_line(line) {
            self.passed += passed;
            self.failed += failed;
            self.ignored += ignored;
            if let (Some((name, false)), Some(seconds)) = (self.binary.take(), seconds_of_binary(line)) {
                self.times.push((format!("all tests of {name}"), seconds));
            }
        } else if let Some(name) = started_binary(line) {
            self.binary = Some((name, false));
        } else if let Some((_, time)) = line.split_once(TIME) {
            if let Some((test, seconds)) = time.rsplit_once(": ").and_then(|(test, s)| Some((test, s.parse().ok()?))) {
                self.times.push((test.to_owned(), seconds));
                if let Some((_, reports)) = &mut self.binary {
                    *reports = true;
                }
            }
        } else if let Some((_, skip)) = line.split_once(SKIPPED) {
            let (test, why) = skip.split_once(": ").unwrap_or((skip, "without a reason"));
            self.skips.insert(test.to_owned(), why.to_owned());
        }
    }

    /// Adds a step's tests. A failed step without a failed test counts as one failure.
    pub fn add(&mut self, step: Self, good: bool) {
        self.passed += step.passed;
        self.failed += step.failed + usize::from(!good && step.failed == 0);
        self.ignored += step.ignored;
        self.skips.extend(step.skips);
        self.allowed_skips.extend(step.allowed_skips);
        self.times.extend(step.times);
    }

    /// The number of tests that should have run and didn't.
    pub fn skipped(&self) -> usize {
        self.ignored + self.skips.len()
    }

    /// The number of tests that ran.
    pub fn ran(&self) -> usize {
        self.passed + self.failed
    }

    /// The number of passed tests without those that reported a skip.
    fn really_passed(&self) -> usize {
        self.passed.saturating_sub(self.skips.len())
    }

    fn json(&self) -> Value {
        json!({ "passed": self.really_passed(), "failed": self.failed, "skipped": self.skipped() + self.allowed_skips.len() })
    }
}

/// The results of all steps.
#[derive(Debug, Default)]
pub struct Summary {
    /// The tests of all steps.
    pub counts: Counts,
    steps: Vec<(String, Duration, Value)>,
    /// The steps that failed, or that couldn't run because of a failed one.
    pub failed: Vec<String>,
}

impl Summary {
    /// Adds a step that ran.
    pub fn add(&mut self, name: &str, time: Duration, outcome: Outcome) {
        if !outcome.good {
            self.failed.push(name.to_owned());
        }
        let step = json!({
            "step": name, "result": if outcome.good { "ok" } else { "failed" }, "seconds": time.as_secs_f64(),
            "tests": outcome.counts.json(),
        });
        self.steps.push((name.to_owned(), time, step));
        self.counts.add(outcome.counts, outcome.good);
    }

    /// Adds a step that didn't run because a step that it needs failed.
    pub fn add_not_run(&mut self, name: &str) {
        self.failed.push(name.to_owned());
        self.steps.push((name.to_owned(), Duration::ZERO, json!({ "step": name, "result": "not run" })));
    }

    /// The slowest tests, slowest first.
    fn slowest(&self) -> Vec<&(String, f64)> {
        let mut times: Vec<_> = self.counts.times.iter().collect();
        times.sort_by(|one, other| other.1.total_cmp(&one.1));
        times
    }

    /// Prints times, skipped tests and failures.
    pub fn print(&self) {
        println!("\ntime of each step:");
        for (name, time, _) in &self.steps {
            println!("  {:>14}  {name}", run::duration(*time));
        }
        if !self.counts.times.is_empty() {
            println!("slowest tests:");
        }
        for (test, seconds) in self.slowest().into_iter().take(SLOWEST) {
            println!("  {:>14}  {test}", run::duration(Duration::from_secs_f64(*seconds)));
        }
        for (test, why) in self.counts.skips.iter().chain(&self.counts.allowed_skips) {
            println!("skipped: {test}: {why}");
        }
        if !self.failed.is_empty() {
            println!("failed: {}", self.failed.join(", "));
        }
        println!("{}", self.counts);
    }

    /// Writes everything as JSON.
    pub fn write(&self, file: &Path) -> Result<()> {
        let test = |(name, seconds): &(String, f64)| json!({ "test": name, "seconds": seconds });
        let skip = |(test, why): (&String, &String)| json!({ "test": test, "reason": why });
        let counts = &self.counts;
        let report = json!({
            "tests": counts.json(),
            "steps": self.steps.iter().map(|(_, _, step)| step).collect::<Vec<_>>(),
            "times": self.slowest().into_iter().map(test).collect::<Vec<_>>(),
            "skips": counts.skips.iter().chain(&counts.allowed_skips).map(skip).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.skipped() + self.allowed_skips.len();
        write!(f, "{} passed, {} failed, {skipped} skipped", self.really_passed(), self.failed)
    }
}

/// Parses passed, failed and ignored of `test result: ok. 5 passed; 0 failed; 1 ignored; ...`.
fn closing_line(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
    Some((number("passed")?, number("failed")?, number("ignored")?))
}

/// Parses the seconds of `test result: ok. ...; finished in 1.20s`.
fn seconds_of_binary(line: &str) -> Option<f64> {
    line.rsplit_once("finished in ")?.1.trim_end().strip_suffix('s')?.parse().ok()
}

/// Parses the name of a test binary of
/// `Running unittests src/lib.rs (target/debug/deps/kubernix_host-0123)`, and of a crate of
/// `Doc-tests kubernix_host`.
fn started_binary(line: &str) -> Option<String> {
    if let Some(name) = line.trim().strip_prefix("Doc-tests ") {
        return Some(format!("{name}'s documentation"));
    }
    let path = line.trim().strip_prefix("Running ")?.rsplit_once('(')?.1.strip_suffix(')')?;
    let file = path.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Counts {
        let mut counts = Counts::default();
        text.lines().for_each(|line| counts.read(line));
        counts
    }

    #[test]
    fn closing_lines_are_summed_up() {
        let counts = read(
            "running 2 tests\n\
             test a ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
        );
        assert_eq!(counts.to_string(), "3 passed, 3 failed, 1 skipped");
        assert_eq!(counts.ran(), 6);
    }

    #[test]
    fn skipped_tests_are_not_counted_as_passed() {
        let counts = read(
            "SKIPPED: pods: not root\n\
             test stop ... SKIPPED: stop: no namespaces: EPERM\n\
             SKIPPED: pods: not root\n\
             test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(counts.to_string(), "1 passed, 0 failed, 2 skipped");
        assert_eq!(counts.skips["stop"], "no namespaces: EPERM");
    }

    #[test]
    fn a_failed_step_without_a_failed_test_counts_as_one_failure() {
        let mut sum = Counts::default();
        sum.add(read("error: could not compile"), false);
        sum.add(read("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured"), false);
        sum.add(Counts::default(), true);
        assert_eq!(sum.to_string(), "1 passed, 3 failed, 0 skipped");
    }

    #[test]
    fn times_are_those_of_tests_or_of_binaries_without_them() {
        let mut counts = read(
            "     Running unittests src/lib.rs (target/debug/deps/kubernix_host-0123)\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n\
             \x20    Running tests/e2e/main.rs (target/debug/deps/e2e-4567)\n\
             TIME: state::stop::crio-etcd (queued 2 s): 31.5\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 31.60s\n\
             \x20  Doc-tests kubernix_core\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n",
        );
        counts.binary = None;
        let (mut summary, outcome) = (Summary::default(), Outcome { good: true, counts, say: String::new() });
        summary.add("unit", Duration::from_secs(33), outcome);
        let slowest: Vec<_> = summary.slowest().into_iter().map(|(name, seconds)| (name.as_str(), *seconds)).collect();
        let wanted = [
            ("state::stop::crio-etcd (queued 2 s)", 31.5),
            ("all tests of kubernix_host", 1.2),
            ("all tests of kubernix_core's documentation", 0.1),
        ];
        assert_eq!(slowest, wanted);
    }

    #[test]
    fn the_report_names_steps_skips_and_times() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let mut summary = Summary::default();
        let counts = read("SKIPPED: pods: not root\ntest result: ok. 2 passed; 0 failed; 0 ignored\n");
        summary.add("e2e", Duration::from_secs(2), Outcome { good: true, counts, say: String::new() });
        summary.add_not_run("plugins");
        summary.write(&file).unwrap();
        let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(report["tests"], json!({ "passed": 1, "failed": 0, "skipped": 1 }));
        assert_eq!(report["steps"][0]["result"], "ok");
        assert_eq!(report["steps"][1], json!({ "step": "plugins", "result": "not run" }));
        assert_eq!(report["skips"], json!([{ "test": "pods", "reason": "not root" }]));
        assert_eq!(summary.failed, ["plugins"]);
    }
}
