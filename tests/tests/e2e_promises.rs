//! The sandbox's promises: nothing remains, nothing outside is touched, clusters don't meet, and a boot can be broken off.

use kubernix_tests::{Cluster, Listing, Process, Snapshot, for_none, processes_of, skip_if, unfit, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

/// How long what has to vanish may take.
const GONE: Duration = Duration::from_secs(10);
/// How long a part that is started again may take.
const BACK: Duration = Duration::from_secs(60);

/// Waits until the host is as it was, but for the cluster's root directory, and all of these processes are gone.
#[track_caller]
fn nothing_remains(cluster: &Cluster, before: &Snapshot, processes: &[Process]) {
    for_none("end of all that a cluster was", GONE, || {
        let alive = processes.iter().filter(|process| process.is_alive());
        let alive = alive.map(|process| format!("alive: {} {}", process.pid, process.command));
        alive.chain(before.changes(&Snapshot::take(&cluster.name, cluster.base()))).collect()
    });
}

/// Kills one of the two processes that carry a cluster.
fn killing_a_carrier(tag: &str, choose: fn((Pid, Pid)) -> Pid) {
    let cluster = Cluster::new(tag);
    let before = Snapshot::take(&cluster.name, cluster.base());
    cluster.up(&[]).ok();
    let carriers = cluster.carriers();
    let all = processes_of(carriers.0.as_raw(), carriers.1.as_raw());
    assert!(all.len() > 8, "{all:?}");
    let during = before.changes(&Snapshot::take(&cluster.name, cluster.base()));
    assert!(during.iter().any(|change| change.starts_with("new: process")), "{during:?}");
    assert!(during.iter().any(|change| change.starts_with("new: cgroup")), "{during:?}");
    kill(choose(carriers), Signal::SIGKILL).expect("it is there");
    nothing_remains(&cluster, &before, &all);
    assert_eq!(cluster.json(&["status"])["state"], "stopped");
}

#[test]
fn nothing_remains_when_the_keeper_is_killed() {
    skip_if!(unfit());
    killing_a_carrier("keeper", |(keeper, _)| keeper);
}

#[test]
fn nothing_remains_when_the_init_is_killed() {
    skip_if!(unfit());
    killing_a_carrier("init", |(_, init)| init);
}

#[test]
fn nothing_remains_when_up_is_killed_in_mid_boot() {
    skip_if!(unfit());
    for (tag, event) in [("up-early", "\"boot-started\""), ("up-mid", "\"role-ready\"")] {
        let cluster = Cluster::new(tag);
        let before = Snapshot::take(&cluster.name, cluster.base());
        let boot = cluster.booting();
        boot.reaches(event);
        boot.signal(Signal::SIGKILL);
        boot.end().exits(137);
        nothing_remains(&cluster, &before, &[]);
    }
}

#[test]
fn nothing_remains_after_down() {
    skip_if!(unfit());
    let cluster = Cluster::new("gone");
    let before = Snapshot::take(&cluster.name, cluster.base());
    cluster.up(&[]).ok();
    let (keeper, init) = cluster.carriers();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    cluster.run(&["down"]).ok();
    nothing_remains(&cluster, &before, &all);
    assert!(!cluster.root().exists());
}

#[test]
fn a_component_that_is_killed_is_started_again() {
    skip_if!(unfit());
    let cluster = Cluster::boot("restart");
    for component in ["scheduler", "etcd"] {
        let find = |status: &serde_json::Value| {
            let components = status["components"].as_array().cloned().unwrap_or_default();
            components.into_iter().find(|one| one["component"] == component).expect(component)
        };
        let pid = find(&cluster.running())["pids"][0].as_i64().and_then(|pid| i32::try_from(pid).ok());
        kill(Pid::from_raw(pid.expect("a pid")), Signal::SIGKILL).expect("it is there");
        until(&format!("{component} that was started again"), BACK, || {
            let status = cluster.json(&["status"]);
            let again = find(&status);
            let back = again["restarts"] == 1 && again["state"] == "ready" && status["state"] == "running";
            if back { Ok(()) } else { Err(status.to_string()) }
        });
    }
    cluster.kubectl(&["create", "configmap", "after"]).ok();
}

#[test]
fn the_host_is_as_it_was_while_a_cluster_runs() {
    skip_if!(unfit());
    let (before, names) = (Snapshot::outside(), Listing::take());
    let cluster = Cluster::boot("apart");
    let changes = [before.changes(&Snapshot::outside()), names.changes(&Listing::take())].concat();
    assert!(changes.is_empty(), "{changes:#?}");
    cluster.run(&["stop"]).ok();
    let changes = [before.changes(&Snapshot::outside()), names.changes(&Listing::take())].concat();
    assert!(changes.is_empty(), "after a stop: {changes:#?}");
}

#[test]
fn two_clusters_need_no_more_than_two_names() {
    skip_if!(unfit());
    let [one, other] = ["one", "other"].map(Cluster::boot);
    let apis = [&one, &other].map(|cluster| cluster.json(&["status"])["api"].clone());
    assert_ne!(apis[0], apis[1]);
    for cluster in [&one, &other] {
        cluster.kubectl(&["create", "configmap", &cluster.name]).ok();
        cluster.kubectl(&["get", "configmap", &cluster.name]).ok();
    }
    other.kubectl(&["get", "configmap", &one.name]).exits(1).says(&["not found"]);
    let (keeper, init) = one.carriers();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    kill(init, Signal::SIGKILL).expect("it is there");
    for_none("end of one cluster", GONE, || {
        all.iter().filter(|process| process.is_alive()).map(|process| process.command.clone()).collect()
    });
    other.running();
    other.kubectl(&["get", "configmap", &other.name]).ok();
    one.run(&["down"]).ok();
    other.kubectl(&["create", "configmap", "still-there"]).ok();
}

/// Interrupts a boot as soon as an event is seen.
fn interrupted(tag: &str, event: &str, times: usize) {
    let cluster = Cluster::new(tag);
    let before = Snapshot::take(&cluster.name, cluster.base());
    let boot = cluster.booting();
    boot.reaches(event);
    for _ in 0..times {
        boot.signal(Signal::SIGINT);
    }
    boot.end().exits(130).says(&["interrupted"]);
    // The command returns when nothing is left: no wait here.
    let left = before.changes(&Snapshot::take(&cluster.name, cluster.base()));
    assert!(left.is_empty(), "interrupted at {event}: {left:#?}");
    assert!(!cluster.root().exists(), "interrupted at {event}: {} is still there", cluster.root().display());
}

#[test]
fn an_interrupt_stops_a_boot_and_cleans_up() {
    skip_if!(unfit());
    interrupted("int-start", "\"boot-started\"", 1);
    interrupted("int-sandbox", "\"instance\":\"sandbox\"", 1);
    interrupted("int-role", "\"role-ready\"", 1);
    interrupted("int-node", "\"role\":\"apiserver\"", 1);
}

#[test]
fn a_second_interrupt_ends_a_boot_at_once() {
    skip_if!(unfit());
    interrupted("int-twice", "\"role-ready\"", 2);
}

#[test]
fn an_interrupt_of_a_boot_that_continues_keeps_the_data() {
    skip_if!(unfit());
    let cluster = Cluster::boot("int-again");
    cluster.kubectl(&["create", "configmap", "kept"]).ok();
    cluster.run(&["stop"]).ok();
    let events = std::fs::read_to_string(cluster.root().join("events.jsonl")).expect("events");
    let boot = cluster.booting();
    until("second boot", BACK, || {
        let now = std::fs::read_to_string(cluster.root().join("events.jsonl")).unwrap_or_default();
        let new = now.get(events.len()..).unwrap_or_default();
        if new.contains("\"role-ready\"") { Ok(()) } else { Err(new.to_owned()) }
    });
    boot.signal(Signal::SIGINT);
    boot.end().exits(130);
    cluster.up(&[]).ok();
    cluster.kubectl(&["get", "configmap", "kept"]).ok();
}
