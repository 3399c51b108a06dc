//! `bench fake`: time and memory of a cluster with simulated nodes and pods, by the KWOK component
//! of the examples.

use super::Fake;
use super::cluster::Cluster;
use super::processes::{Memory, busy};
use super::report::{Machine, Row, Sheet};
use crate::exit_code;
use crate::run;
use crate::workspace::{Profile, Workspace};
use anyhow::{Result, bail};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The interval at which nodes and pods are counted.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time limit until all simulated nodes, or all pods, are ready.
const TIMEOUT: Duration = Duration::from_secs(1800);

struct Measured {
    /// From the call of `up` until every simulated node is Ready.
    nodes: Duration,
    /// From the creation of the Deployment until all of its pods run.
    pods: Duration,
    memory: Memory,
    /// The share of all cores that is busy with all nodes and pods while the cluster is idle, 0 to
    /// 1.
    busy: f64,
    down: Duration,
}

/// Measures, and prints the result.
pub fn run(args: &Fake) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let (kubernix, kwok) = (workspace.build(Profile::Release)?, workspace.root.join("examples/components/kwok.toml"));
    let directory = super::temporary(args.root.as_deref())?;
    let cluster = Cluster::new(&kubernix, directory.path(), "bench");
    let measured = measure(&cluster, &kwok, args);
    cluster.down_if_exists();
    super::show(&Sheet { machine: Machine::this(), runs: 1, rows: rows(args, &measured?) }, args.output);
    exit_code(true)
}

fn measure(cluster: &Cluster, kwok: &Path, args: &Fake) -> Result<Measured> {
    let (kwok, nodes) = (kwok.to_string_lossy(), format!("kwok.nodes={}", args.nodes));
    // Builds KWOK before the boot, which is measured.
    cluster.timed(&["toolchain", "ensure", "--plugin", &kwok])?;
    let called = Instant::now();
    cluster.up_with(&["--addons", "none", "--plugin", &kwok, "--set", &nodes])?;
    wait(args.nodes, "nodes that are Ready", || {
        let ready = r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        let printed = kubectl(cluster, &["get", "nodes", "-l", "type=kwok", "-o", ready])?;
        Ok(printed.lines().filter(|line| *line == "True").count())
    })?;
    let nodes = called.elapsed();
    let file = cluster.root().join("bench.json");
    fs::write(&file, deployment(args.pods).to_string())?;
    let created = Instant::now();
    kubectl(cluster, &["create", "-f", &file.to_string_lossy()])?;
    wait(args.pods, "pods that run", || {
        let printed = kubectl(cluster, &["get", "deployment", "bench", "-o", "jsonpath={.status.readyReplicas}"])?;
        Ok(printed.trim().parse().unwrap_or_default())
    })?;
    let pods = created.elapsed();
    std::thread::sleep(Duration::from_secs(args.idle.into()));
    let memory = cluster.processes()?.memory()?;
    let busy = busy(Duration::from_secs(args.idle.into()))?;
    let down = cluster.timed(&["down"])?;
    Ok(Measured { nodes, pods, memory, busy, down })
}

fn kubectl(cluster: &Cluster, args: &[&str]) -> Result<String> {
    run::output(&mut cluster.command(&[&["kubectl", "--"], args].concat()))
}

/// Calls `count` until it returns `wanted`, and prints each new count.
fn wait(wanted: u32, items: &str, count: impl Fn() -> Result<usize>) -> Result<()> {
    let (deadline, mut last) = (Instant::now() + TIMEOUT, usize::MAX);
    loop {
        let present = count()?;
        if present != last {
            eprintln!("{present} of {wanted} {items}");
        }
        if present >= wanted as usize {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{present} of {wanted} {items} after {} s", TIMEOUT.as_secs());
        }
        last = present;
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// A Deployment of pods for simulated nodes.
fn deployment(pods: u32) -> serde_json::Value {
    let labels = json!({ "app": "bench" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "bench" },
        "spec": {
            "replicas": pods,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "nodeSelector": { "type": "kwok" },
                    "tolerations": [{ "key": "kwok.x-k8s.io/node", "operator": "Exists" }],
                    "containers": [{ "name": "main", "image": "nothing-runs" }],
                },
            },
            "strategy": { "rollingUpdate": { "maxSurge": "100%" } },
        },
    })
}

fn rows(args: &Fake, measured: &Measured) -> Vec<Row> {
    let row = |key: &str, label: String, unit: &'static str, value: f64| Row {
        key: key.to_owned(),
        label,
        unit,
        values: vec![value],
    };
    let Fake { nodes, pods, .. } = args;
    let seconds = measured.pods.as_secs_f64();
    let mut rows = vec![
        row("nodes", format!("{nodes} nodes Ready, from `up`"), "s", measured.nodes.as_secs_f64()),
        row("pods", format!("{pods} pods run, from their creation"), "s", seconds),
        row("rate", "  pods a second".into(), "", f64::from(*pods) / seconds),
        row("busy", "idle: cores that are busy".into(), "%", measured.busy * 100.0),
        row("down", "`down`".into(), "s", measured.down.as_secs_f64()),
        row("own", "memory: our own processes".into(), "MB", measured.memory.own as f64 / 1e6),
        row("resident", "memory: resident, all processes".into(), "MB", measured.memory.total() as f64 / 1e6),
    ];
    let processes = measured.memory.by_name.iter();
    rows.extend(
        processes
            .map(|(name, (bytes, _))| row(&format!("memory.{name}"), format!("  {name}"), "MB", *bytes as f64 / 1e6)),
    );
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_returns_with_the_last_item_or_with_the_error() {
        let seen = std::cell::Cell::new(0);
        let count = || {
            seen.set(seen.get() + 1);
            Ok(seen.get())
        };
        wait(1, "things", count).unwrap();
        assert_eq!(seen.get(), 1);
        assert!(wait(1, "things", || bail!("no answer")).is_err());
    }

    #[test]
    fn the_deployment_has_the_requested_pods_on_simulated_nodes() {
        let deployment = deployment(7);
        assert_eq!(deployment["spec"]["replicas"], 7);
        let template = &deployment["spec"]["template"];
        assert_eq!(template["metadata"]["labels"], deployment["spec"]["selector"]["matchLabels"]);
        assert_eq!(template["spec"]["nodeSelector"]["type"], "kwok");
    }
}
