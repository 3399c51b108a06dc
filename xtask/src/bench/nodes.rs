//! `bench nodes`: the boot time of clusters with increasing numbers of nodes, and the cost of a
//! further node.

use super::Nodes;
use super::cluster::{Cluster, Up};
use super::processes::{Memory, busy};
use super::report::{Machine, Row, Sheet};
use crate::exit_code;
use crate::workspace::{Profile, Workspace};
use anyhow::{Context, Result};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

/// The time for settling before a cluster counts as idle.
const SETTLE: Duration = Duration::from_secs(10);

/// The result of one run.
struct Measured {
    up: Up,
    memory: Memory,
    /// The additional memory in use on the machine, in bytes.
    machine: f64,
    /// The share of all cores that is busy while the cluster is idle, 0 to 1.
    busy: f64,
    /// The time until one more node is Ready.
    add: Duration,
}

/// Measures, and prints the result.
pub fn run(args: &Nodes) -> Result<ExitCode> {
    let kubernix = Workspace::load()?.build(Profile::Release)?;
    let directory = super::temporary(args.root.as_deref())?;
    let cluster = Cluster::new(&kubernix, directory.path(), "bench");
    let measure = |nodes: u32| {
        let measured = (0..args.runs).map(|_| measure(&cluster, nodes, args)).collect::<Result<Vec<_>>>();
        cluster.down_if_exists();
        measured.with_context(|| format!("{nodes} nodes"))
    };
    let mut all = Vec::new();
    for nodes in &args.nodes {
        let measured = measure(*nodes)?;
        let ready = measured.iter().map(|one| one.up.node_ready.as_secs_f64()).fold(f64::INFINITY, f64::min);
        eprintln!("{nodes} nodes: all Ready after {ready:.2} s");
        all.push((*nodes, measured));
    }
    let sheet = Sheet { machine: Machine::this(), runs: args.runs as usize, rows: rows(&all) };
    super::show(&sheet, args.output);
    exit_code(true)
}

fn measure(cluster: &Cluster, nodes: u32, args: &Nodes) -> Result<Measured> {
    cluster.down_if_exists();
    let before = available()?;
    let up = cluster.up_with(&["--addons", "none", "--nodes", &nodes.to_string()])?;
    std::thread::sleep(SETTLE);
    let memory = cluster.processes()?.memory()?;
    let machine = before - available()?;
    let busy = busy(Duration::from_secs(args.idle.into()))?;
    let add = cluster.timed(&["node", "add", "--quiet"])?;
    cluster.down_if_exists();
    Ok(Measured { up, memory, machine, busy, add })
}

/// The kernel's estimate of available memory, in bytes.
fn available() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")).context("no MemAvailable in /proc/meminfo")?;
    Ok(kilobytes.trim().parse::<f64>()? * 1024.0)
}

fn rows(all: &[(u32, Vec<Measured>)]) -> Vec<Row> {
    type Number = fn(&Measured) -> f64;
    let numbers: [(&str, &str, &'static str, Number); 6] = [
        ("ready", "all Ready", "s", |m| m.up.node_ready.as_secs_f64()),
        ("add", "one more by `node add`", "s", |m| m.add.as_secs_f64()),
        ("resident", "memory: resident, all processes", "MB", |m| m.memory.total() as f64 / 1e6),
        ("machine", "memory: of the machine", "MB", |m| m.machine / 1e6),
        ("own", "memory: our own processes", "MB", |m| m.memory.own as f64 / 1e6),
        ("busy", "idle: cores that are busy", "%", |m| m.busy * 100.0),
    ];
    let mut rows = Vec::new();
    for (key, label, unit, number) in numbers {
        for (nodes, measured) in all {
            let values: Vec<f64> = measured.iter().map(number).collect();
            rows.push(Row { key: format!("{nodes}.{key}"), label: format!("{nodes} nodes: {label}"), unit, values });
        }
        // The row for `node add` is the time of a further node already.
        let ends = (key != "add").then(|| all.first().zip(all.last())).flatten();
        if let Some(((few, first), (many, last))) = ends
            && many > few
        {
            let each = |(one, other): (&Measured, &Measured)| (number(other) - number(one)) / f64::from(many - few);
            let values = first.iter().zip(last).map(each).collect();
            rows.push(Row { key: format!("each.{key}"), label: "  for each further node".into(), unit, values });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ready: u64, own: u64) -> Measured {
        let ready = Duration::from_secs(ready);
        let memory = Memory { own, ..Memory::default() };
        Measured { up: Up { node_ready: ready, returned: ready }, memory, machine: 0.0, busy: 0.0, add: ready }
    }

    #[test]
    fn the_cost_of_a_further_node_is_the_difference_by_node() {
        let rows = rows(&[(1, vec![measured(2, 10_000_000)]), (5, vec![measured(10, 12_000_000)])]);
        let of = |key: &str| rows.iter().find(|row| row.key == key).map(|row| row.values.clone());
        assert_eq!(of("each.ready").unwrap(), [2.0]);
        assert_eq!(of("each.own").unwrap(), [0.5]);
        assert_eq!(of("5.add").unwrap(), [10.0]);
        assert!(of("each.add").is_none());
    }

    #[test]
    fn available_memory_is_in_bytes() {
        assert!(available().unwrap() > 1e6);
    }
}
