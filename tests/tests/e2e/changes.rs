//! Tests changes of a running cluster: they are completed or rolled back, even if the command is
//! interrupted. Failures meanwhile are reported, and the cluster recovers.

use kubernix_tests::{
    Cluster, Lane, Parts, RunningCommand, SHARED, Test, checks, free_port, main_process, once, runs_all, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(90);
/// When commands are interrupted: while they resolve binaries, send the request, start processes,
/// and wait for them.
const MOMENTS: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(120), Duration::from_millis(500), Duration::from_millis(1300)];

pub fn tests() -> Vec<Test> {
    let of_any = checks![
        an_addon_removed_during_its_start_is_not_applied_again,
        a_stopped_up_command_does_not_block_the_boot,
        a_component_restarts_when_its_missing_binary_returns,
        status_reports_a_hung_process,
        damaged_state_is_rebuilt_or_reported,
    ];
    let of_nodes = checks![an_interrupted_change_is_completed_or_rolled_back];
    let of_control_planes = checks![ports_are_forwarded_to_running_nodes_and_survive_other_changes];
    [once(Lane::isolated(3, 4), &of_control_planes), once(Lane::shared(1, 3), &of_nodes), once(SHARED, &of_any)]
        .concat()
}

fn boot(tag: &str, settings: &[&str]) -> Cluster {
    let cluster = Cluster::new(tag);
    cluster.up(&[&["--addons", "none"], settings].concat()).ok();
    cluster
}

/// Starts a command in the background.
fn start(cluster: &Cluster, command: &[&str]) -> RunningCommand {
    cluster.start_command(&mut cluster.command(command))
}

fn names(values: &Value) -> BTreeSet<String> {
    let names = values.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name").to_owned());
    names.collect()
}

/// The nodes. `node list`, the state file and its view `allotted.json` have to agree on them.
fn nodes(cluster: &Cluster) -> BTreeSet<String> {
    let listed = names(&cluster.json(&["node", "list"]));
    let read = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(cluster.root().join(file)).expect("a file")).expect("JSON")
    };
    assert_eq!(names(&read("cluster.json")["allotment"]["nodes"]), listed);
    assert_eq!(names(&read("allotted.json")["nodes"]), listed);
    listed
}

fn an_interrupted_change_is_completed_or_rolled_back(_: Parts) {
    let cluster = boot("cut", &[]);
    for (number, moment) in MOMENTS.into_iter().enumerate() {
        for (other, signal) in [Signal::SIGINT, Signal::SIGKILL, Signal::SIGHUP].into_iter().enumerate() {
            // The selection has each moment and each signal.
            if !runs_all() && number % 3 != other {
                continue;
            }
            let before = nodes(&cluster);
            let command = start(&cluster, &["node", "add"]);
            sleep(moment);
            command.signal(signal);
            let outcome = command.wait_within(TIMEOUT);
            // The next command waits for a change that is in progress.
            cluster.run(&["node", "add"]).ok();
            let now = nodes(&cluster);
            let own = 1 + usize::from(outcome.code == 0);
            assert!(now.is_superset(&before), "{before:?} became {now:?}");
            let more = now.len() - before.len();
            assert!(more == own || signal == Signal::SIGKILL && more == 2, "{signal} after {moment:?}: {now:?}");
            let api = cluster.get(&["nodes"]);
            let api: BTreeSet<String> = api["items"]
                .as_array()
                .expect("nodes")
                .iter()
                .map(|node| node["metadata"]["name"].to_string())
                .collect();
            assert_eq!(api.len(), now.len(), "{api:?} and {now:?}");
            for node in now.difference(&before) {
                cluster.run(&["node", "remove", node]).ok();
            }
        }
    }
    // A boot restores the saved state.
    let before = nodes(&cluster);
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    assert_eq!(nodes(&cluster), before);
}

fn an_addon_removed_during_its_start_is_not_applied_again(_: Parts) {
    let cluster = Cluster::new("away");
    let place = cluster.base().join("one.yaml");
    fs::write(&place, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-the-addon}\n").expect("a file");
    let path = place.to_str().expect("a path");
    cluster.up(&["--wait", "node", "--addons", "coredns", "--addon", path]).ok();
    cluster.run(&["addon", "remove", "coredns", path]).ok();
    let left = || -> Result<(), String> {
        let pods = cluster.kubectl(&["-n", "kube-system", "get", "pods,deployments", "-o", "name"]);
        let map = cluster.kubectl(&["get", "configmap", "of-the-addon"]);
        if pods.stdout.is_empty() && map.code != 0 { Ok(()) } else { Err(format!("{}{}", pods.stdout, map.stdout)) }
    };
    until("removal of the addon's objects", TIMEOUT, left);
    // An apply in progress would have created them again by now.
    sleep(Duration::from_secs(3));
    left().expect("it isn't applied again");
    assert_eq!(cluster.wait_until_running()["state"], "running");
}

fn ports_are_forwarded_to_running_nodes_and_survive_other_changes(_: Parts) {
    let cluster = boot("follow", &["--control-planes", "3", "--nodes", "4"]);
    let target = |port: u16| -> Option<String> {
        let ports = cluster.json(&["port", "list"]);
        let all = ports.as_array().expect("ports");
        let port = all.iter().find(|one| one["host"].as_str().is_some_and(|host| host.ends_with(&format!(":{port}"))));
        port.and_then(|port| port["target"].as_str()).map(str::to_owned)
    };
    let ports = [free_port(), free_port(), free_port()];
    let add = |port: u16| cluster.run(&["port", "add", &format!("{port}:30080")]).ok();
    let host_of = |target: Option<String>| target.expect("a target").rsplit_once(':').expect("a port").0.to_owned();
    add(ports[0]);
    let first = host_of(target(ports[0]));
    cluster.run(&["node", "stop", "node-0"]).ok();
    add(ports[1]);
    assert_ne!(host_of(target(ports[0])), first, "an open port is forwarded to a running node");
    assert_eq!(host_of(target(ports[0])), host_of(target(ports[1])));
    // With another change at the same time, neither is lost.
    let replace = start(&cluster, &["component", "replace", "--set", "scheduler.log-level=3"]);
    add(ports[2]);
    replace.wait_within(TIMEOUT).ok();
    assert!(ports.iter().all(|port| target(*port).is_some()));
    let settings = fs::read_to_string(cluster.root().join("kubernix.toml")).expect("the settings");
    assert!(
        settings.contains("log-level") && ports.iter().all(|port| settings.contains(&port.to_string())),
        "{settings}"
    );
    cluster.run(&["node", "start", "node-0"]).ok();
    assert_eq!(host_of(target(ports[0])), first);
}

fn a_stopped_up_command_does_not_block_the_boot(_: Parts) {
    let cluster = Cluster::new("slow");
    let booting = start(&cluster, &["up", "--addons", "none", "--nodes", "3"]);
    booting.wait_for_event(r#""event":"started","instance":"sandbox""#);
    booting.signal(Signal::SIGSTOP);
    until("running cluster with a stopped command", TIMEOUT, || {
        let status = cluster.run(&["--output", "json", "status"]);
        if status.stdout.contains(r#""state": "running""#) { Ok(()) } else { Err(status.stdout) }
    });
    // An interrupt after the boot doesn't stop the cluster.
    for _ in 0..2 {
        booting.signal(Signal::SIGINT);
    }
    booting.signal(Signal::SIGCONT);
    let outcome = booting.wait_within(TIMEOUT);
    assert!(outcome.code == 0 || outcome.code == 130, "{outcome:?}");
    assert_eq!(cluster.wait_until_running()["state"], "running");
}

/// The PID on the host of a component's main process.
fn pid(cluster: &Cluster, component: &str) -> Pid {
    main_process(&cluster.status(), component).expect("a running component")
}

fn a_component_restarts_when_its_missing_binary_returns(_: Parts) {
    let cluster = boot("moved", &[]);
    let listed = cluster.json(&["plan"]);
    let all = listed["instances"].as_array().expect("instances");
    let scheduler = all.iter().find(|one| one["component"] == "scheduler").expect("a scheduler");
    let program = scheduler["plan"]["processes"][0]["program"].as_str().expect("a program");
    let own = cluster.base().join("scheduler");
    fs::copy(Path::new(program), &own).expect("a copy");
    let set = format!("scheduler.binary={}", own.display());
    cluster.run(&["component", "replace", "--set", &set]).ok();
    let away = own.with_extension("away");
    fs::rename(&own, &away).expect("a rename");
    kill(pid(&cluster, "scheduler"), Signal::SIGKILL).expect("it runs");
    until("report of the missing binary", TIMEOUT, || {
        let status = cluster.run(&["status"]);
        let is_named = status.code == 9 && status.stdout.contains("doesn't exist");
        if is_named { Ok(()) } else { Err(format!("{}: {}", status.code, status.stdout)) }
    });
    fs::rename(&away, &own).expect("a rename");
    assert_eq!(cluster.wait_until_running()["state"], "running");
}

fn status_reports_a_hung_process(_: Parts) {
    let cluster = boot("hung", &[]);
    let etcd = pid(&cluster, "etcd");
    kill(etcd, Signal::SIGSTOP).expect("it runs");
    let status = cluster.run(&["status"]).exits(9);
    assert!(
        status.stdout.contains("degraded") && status.stdout.contains("etcd: role `datastore`"),
        "{}",
        status.stdout
    );
    kill(etcd, Signal::SIGCONT).expect("it runs");
    let status = cluster.wait_until_running();
    let restarts = status["components"].as_array().expect("components").iter().map(|one| one["restarts"].as_u64());
    assert_eq!(restarts.map(Option::unwrap_or_default).sum::<u64>(), 0, "it was not restarted");
}

fn damaged_state_is_rebuilt_or_reported(_: Parts) {
    let cluster = boot("repaired", &["--set", "kubelet.max-pods=44", "--nodes", "2"]);
    let file = cluster.root().join("cluster.json");
    let whole = fs::read_to_string(&file).expect("the state");
    // The running cluster has the state in memory, and writes it again when it stops.
    fs::write(&file, "").expect("a file");
    cluster.run(&["stop"]).ok();
    assert_eq!(fs::read_to_string(&file).expect("the state"), whole);
    // Without the state file, its views have the settings and the nodes.
    fs::write(&file, &whole[..whole.len() / 2]).expect("a file");
    cluster.up(&[]).ok().says(&["cluster.json", "kubernix.toml"]);
    assert_eq!(nodes(&cluster).len(), 2);
    let settings = cluster.json(&["config", "show"]).to_string();
    assert!(settings.contains("kubelet.max-pods") && settings.contains("44"), "{settings}");
    cluster.run(&["stop"]).ok();
    // Without any of them, `up` doesn't assume default settings.
    for name in ["cluster.json", "kubernix.toml"] {
        fs::write(cluster.root().join(name), "").expect("a file");
    }
    let refused = cluster.up(&[]).says(&["cluster.json"]);
    assert_ne!(refused.code, 0);
}
