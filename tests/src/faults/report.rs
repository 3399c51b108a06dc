//! Reports the outcome of each fault as a table and as JSON.

use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// The outcome of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The part of the suite.
    pub part: &'static str,
    /// The fault, in words.
    pub fault: String,
    /// The number of faults of this kind.
    pub injected: usize,
    /// The time until the cluster was healthy again; `None` if nothing had to heal.
    pub healed: Option<Duration>,
    /// The violated rule; `None` if all were kept.
    pub failure: Option<String>,
}

/// The report of a run.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// The seed: `--seed` repeats the run.
    pub seed: u64,
    /// Whether this is the short plan of a default run.
    pub short: bool,
    /// In the order of injection.
    pub records: Vec<Record>,
    /// For each failed part, the value of `--faults` that repeats only the needed faults.
    pub replay: Vec<String>,
}

/// The totals of a part.
struct Sum {
    part: &'static str,
    injected: usize,
    survived: usize,
    healed: Vec<Duration>,
}

impl Report {
    fn sums(&self) -> Vec<Sum> {
        let mut sums: Vec<Sum> = Vec::new();
        for record in &self.records {
            if !sums.iter().any(|sum| sum.part == record.part) {
                sums.push(Sum { part: record.part, injected: 0, survived: 0, healed: Vec::new() });
            }
            for sum in sums.iter_mut().filter(|sum| sum.part == record.part) {
                sum.injected += record.injected;
                sum.survived += if record.failure.is_none() { record.injected } else { 0 };
                sum.healed.extend(record.healed);
            }
        }
        sums.iter_mut().for_each(|sum| sum.healed.sort());
        sums
    }

    /// The table: a row for each part, then the failures and the commands that repeat them.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<12}{:>9}{:>9}{:>14}{:>14}\n", "faults", "injected", "survived", "healed median", "healed most");
        for sum in self.sums() {
            let (median, most) = (sum.healed.get(sum.healed.len() / 2), sum.healed.last());
            let (median, most) = (seconds(median), seconds(most));
            let _ = writeln!(text, "{:<12}{:>9}{:>9}{median:>14}{most:>14}", sum.part, sum.injected, sum.survived);
        }
        for record in &self.records {
            if let Some(failure) = &record.failure {
                let _ = writeln!(text, "failed: {}: {}: {failure}", record.part, record.fault);
            }
        }
        let _ = writeln!(text, "seed: {}", self.seed);
        for command in self.commands() {
            let _ = writeln!(text, "replay: {command}");
        }
        text
    }

    /// The commands that repeat the failures.
    fn commands(&self) -> impl Iterator<Item = String> {
        let short = if self.short { " --short" } else { "" };
        self.replay
            .iter()
            .map(move |replay| format!("cargo xtask test faults{short} --seed {} --faults {replay}", self.seed))
    }

    /// The report as JSON.
    pub fn json(&self) -> Value {
        let ms = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let parts = self.sums().into_iter().map(|sum| {
            let median = sum.healed.get(sum.healed.len() / 2).map(ms);
            json!({
                "part": sum.part, "injected": sum.injected, "survived": sum.survived,
                "healed_median_ms": median, "healed_most_ms": sum.healed.last().map(ms),
            })
        });
        let records = self.records.iter().map(|record| {
            json!({
                "part": record.part, "fault": record.fault, "injected": record.injected,
                "healed_ms": record.healed.as_ref().map(ms), "failure": record.failure,
            })
        });
        json!({
            "seed": self.seed, "parts": parts.collect::<Vec<_>>(), "faults": records.collect::<Vec<_>>(),
            "replay": self.commands().collect::<Vec<_>>(),
        })
    }
}

fn seconds(time: Option<&Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(part: &'static str, healed: Option<u64>, failure: Option<&str>) -> Record {
        let (fault, failure) = ("kill etcd".to_owned(), failure.map(str::to_owned));
        Record { part, fault, injected: 2, healed: healed.map(Duration::from_millis), failure }
    }

    fn report() -> Report {
        let records = vec![
            record("process", Some(1500), None),
            record("process", Some(2500), None),
            record("process", None, Some("it is gone")),
            record("clock", None, None),
        ];
        Report { seed: 7, short: true, records, replay: vec!["process:2".to_owned()] }
    }

    #[test]
    fn the_table_has_a_row_for_each_part_and_replay_commands() {
        let table = report().table();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["process", "6", "4", "2.50", "s", "2.50", "s"]);
        assert_eq!(lines[2], ["clock", "2", "2", "-", "-"]);
        assert!(table.contains("failed: process: kill etcd: it is gone\nseed: 7\n"), "{table}");
        assert!(table.ends_with("replay: cargo xtask test faults --short --seed 7 --faults process:2\n"), "{table}");
    }

    #[test]
    fn json_has_the_same_data() {
        let json = report().json();
        assert_eq!(json["parts"][0]["survived"], 4);
        assert_eq!(json["parts"][0]["healed_most_ms"], 2500);
        assert_eq!(json["replay"][0], "cargo xtask test faults --short --seed 7 --faults process:2");
        assert_eq!((&json["faults"][2]["failure"], &json["seed"]), (&json!("it is gone"), &json!(7)));
    }
}
