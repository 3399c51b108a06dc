//! The results of a benchmark: minimum, median and maximum of each number, as text and as JSON.

use super::cluster::Up;
use super::images::Load;
use super::processes::Memory;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// The machine of a measurement.
pub struct Machine {
    cpus: usize,
    kernel: String,
}

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cpus, kernel: kernel.trim().to_owned() }
    }
}

/// The numbers of one run.
pub struct Run {
    /// Datastore and API server alone, until `/readyz` succeeds.
    pub floor: Duration,
    /// The first boot.
    pub boot: Up,
    /// From the call of `up` until the first pod runs.
    pub pod_running: Duration,
    /// `stop`.
    pub stop: Duration,
    /// `up` on the existing root directory.
    pub again: Up,
    /// `down` of the running cluster.
    pub down: Duration,
    /// The memory while idle.
    pub memory: Memory,
    /// The idle CPU time of KuberNix' own processes, as a share of one core, 0 to 1.
    pub idle_share: f64,
    /// A boot with the default addons.
    pub dns: Duration,
    /// The container runtimes, the default one first.
    pub runtimes: Vec<OnRuntime>,
}

/// The numbers of one container runtime.
pub struct OnRuntime {
    /// The component.
    pub name: String,
    /// A boot without addons.
    pub boot: Up,
    /// From the call of `up` until the first pod runs.
    pub pod_running: Duration,
    /// The loading of a large image.
    pub load: Load,
}

impl Run {
    /// The main numbers in one line, for progress.
    pub fn short(&self) -> String {
        let seconds = |time: Duration| time.as_secs_f64();
        format!(
            "floor {:.2} s, Node Ready {:.2} s, `up` {:.2} s, pod {:.2} s, down {:.2} s",
            seconds(self.floor),
            seconds(self.boot.node_ready),
            seconds(self.boot.returned),
            seconds(self.pod_running),
            seconds(self.down),
        )
    }
}

/// All runs.
pub struct Report {
    /// The machine.
    pub machine: Machine,
    /// At least one run.
    pub runs: Vec<Run>,
}

/// One number of every run.
pub struct Row {
    /// Its key in JSON.
    pub key: String,
    /// Its name in text.
    pub label: String,
    /// Its unit.
    pub unit: &'static str,
    /// The values.
    pub values: Vec<f64>,
}

/// Rows of numbers, and the machine on which they were measured.
pub struct Sheet {
    /// The machine.
    pub machine: Machine,
    /// The number of runs.
    pub runs: usize,
    /// The numbers.
    pub rows: Vec<Row>,
}

impl Report {
    /// All numbers, in the order in which they are shown.
    pub fn sheet(self) -> Sheet {
        let rows = self.rows();
        Sheet { machine: self.machine, runs: self.runs.len(), rows }
    }

    fn rows(&self) -> Vec<Row> {
        type Number = fn(&Run) -> f64;
        let numbers: [(&str, &str, &'static str, Number); 18] = [
            ("floor", "floor: bare datastore and API server", "s", |r| r.floor.as_secs_f64()),
            ("node_ready", "Node Ready", "s", |r| r.boot.node_ready.as_secs_f64()),
            ("node_ready_to_floor", "  to the floor", "", |r| ratio(r.boot.node_ready, r.floor)),
            ("up", "`up` returns", "s", |r| r.boot.returned.as_secs_f64()),
            ("up_to_floor", "  to the floor", "", |r| ratio(r.boot.returned, r.floor)),
            ("pod_running", "first pod Running", "s", |r| r.pod_running.as_secs_f64()),
            ("pod_running_to_floor", "  to the floor", "", |r| ratio(r.pod_running, r.floor)),
            ("dns_ready", "CoreDNS Ready", "s", |r| r.dns.as_secs_f64()),
            ("dns_ready_to_floor", "  to the floor", "", |r| ratio(r.dns, r.floor)),
            ("stop", "`stop`", "s", |r| r.stop.as_secs_f64()),
            ("again_node_ready", "`up` again: Node Ready", "s", |r| r.again.node_ready.as_secs_f64()),
            ("again_up", "`up` again returns", "s", |r| r.again.returned.as_secs_f64()),
            ("again_up_to_up", "  to the first", "", |r| ratio(r.again.returned, r.boot.returned)),
            ("down", "`down`", "s", |r| r.down.as_secs_f64()),
            ("down_to_floor", "  to the floor", "", |r| ratio(r.down, r.floor)),
            ("idle_cpu", "our own processes, idle", "% of a core", |r| r.idle_share * 100.0),
            ("memory_own", "memory: our own processes", "MB", |r| megabytes(r.memory.own)),
            ("memory_total", "memory: all processes", "MB", |r| megabytes(r.memory.total())),
        ];
        let mut rows: Vec<Row> = numbers
            .into_iter()
            .map(|(key, label, unit, number)| Row {
                key: key.to_owned(),
                label: label.to_owned(),
                unit,
                values: self.runs.iter().map(number).collect(),
            })
            .collect();
        rows.extend(self.runtime_rows());
        let names: BTreeSet<&String> = self.runs.iter().flat_map(|run| run.memory.by_name.keys()).collect();
        for name in names {
            let of = |run: &Run| run.memory.by_name.get(name).copied().unwrap_or_default();
            let count = self.runs.iter().map(|run| of(run).1).max().unwrap_or_default();
            let times = if count > 1 { format!(" ({count})") } else { String::new() };
            rows.push(Row {
                key: format!("memory.{name}"),
                label: format!("  {name}{times}"),
                unit: "MB",
                values: self.runs.iter().map(|run| megabytes(of(run).0)).collect(),
            });
        }
        rows
    }
}

impl Report {
    /// The rows of all container runtimes.
    fn runtime_rows(&self) -> Vec<Row> {
        type Number = fn(&OnRuntime) -> f64;
        let numbers: [(&str, &str, &'static str, Number); 8] = [
            ("node_ready", "Node Ready", "s", |r| r.boot.node_ready.as_secs_f64()),
            ("up", "`up` returns", "s", |r| r.boot.returned.as_secs_f64()),
            ("pod_running", "first pod Running", "s", |r| r.pod_running.as_secs_f64()),
            ("copy", "100 MB archive: plain copy", "s", |r| r.load.copy.as_secs_f64()),
            ("own", "  the runtime's own unpacking", "s", |r| r.load.own.as_secs_f64()),
            ("load", "  `image load`", "s", |r| r.load.load.as_secs_f64()),
            ("load_to_both", "    to copy and unpacking", "", |r| ratio(r.load.load, r.load.copy + r.load.own)),
            ("load_again", "  `image load` again", "s", |r| r.load.again.as_secs_f64()),
        ];
        let count = self.runs.iter().map(|run| run.runtimes.len()).min().unwrap_or_default();
        let of = |at: usize| self.runs.iter().map(move |run| &run.runtimes[at]);
        let rows = (0..count).flat_map(|at| {
            let name = of(at).next().map_or("", |one| &one.name);
            numbers.map(|(key, label, unit, number)| Row {
                key: format!("{name}.{key}"),
                label: format!("{name}: {label}"),
                unit,
                values: of(at).map(number).collect(),
            })
        });
        rows.collect()
    }
}

impl Sheet {
    /// Every number of every run, with minimum, median and maximum.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            let [min, median, max] = spread(&row.values);
            (row.key.clone(), json!({ "unit": row.unit, "min": min, "median": median, "max": max, "runs": row.values }))
        };
        let numbers: serde_json::Map<String, Value> = self.rows.iter().map(row).collect();
        json!({
            "machine": { "cpus": self.machine.cpus, "kernel": self.machine.kernel },
            "runs": self.runs,
            "numbers": numbers,
        })
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs, {} CPUs, Linux {}", self.runs, self.machine.cpus, self.machine.kernel)?;
        writeln!(f, "{:<40} {:>8} {:>8} {:>8}", "", "min", "median", "max")?;
        for row in &self.rows {
            let [min, median, max] = spread(&row.values);
            let line = format!("{:<40} {min:>8.2} {median:>8.2} {max:>8.2} {}", row.label, row.unit);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Minimum, median and maximum. For an even number of values, the median is the mean of the middle
/// two.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return [f64::NAN; 3] };
    let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    [*min, median, *max]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(floor_ms: u64, ready_ms: u64, memory: &[(&str, u64, usize)]) -> Run {
        let up = Up { node_ready: Duration::from_millis(ready_ms), returned: Duration::from_millis(2 * ready_ms) };
        let by_name = memory.iter().map(|(name, bytes, count)| ((*name).to_owned(), (*bytes, *count))).collect();
        Run {
            floor: Duration::from_millis(floor_ms),
            boot: up,
            pod_running: up.returned,
            stop: up.returned,
            again: up,
            down: up.returned,
            memory: Memory { by_name, own: 3_000_000 },
            idle_share: 0.004,
            dns: up.returned,
            runtimes: vec![OnRuntime {
                name: "a".to_owned(),
                boot: up,
                pod_running: up.returned,
                load: Load { copy: up.node_ready, own: up.node_ready, load: up.returned, again: up.node_ready },
            }],
        }
    }

    #[test]
    fn the_median_of_even_and_odd_numbers_of_values() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), [1.0, 2.5, 4.0]);
        assert_eq!(spread(&[7.0]), [7.0; 3]);
    }

    #[test]
    fn ratios_are_to_the_floor_of_the_same_run() {
        let machine = Machine { cpus: 2, kernel: "6.1".to_owned() };
        let runs = vec![
            run(1000, 800, &[("store", 2_000_000, 1)]),
            run(2000, 1000, &[("store", 4_000_000, 2), ("api", 1, 1)]),
        ];
        let report = Report { machine, runs };
        let sheet = report.sheet();
        let json = sheet.json();
        assert_eq!(json["numbers"]["node_ready_to_floor"]["runs"], json!([0.8, 0.5]));
        assert_eq!(json["numbers"]["memory.store"]["median"], 3.0);
        assert_eq!(json["numbers"]["memory_total"]["min"], 2.0);
        assert_eq!(json["numbers"]["a.load_to_both"]["runs"], json!([1.0, 1.0]));
        let text = sheet.to_string();
        assert!(text.contains("  store (2)") && text.contains("0.40 % of a core"), "{text}");
    }
}
