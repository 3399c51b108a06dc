//! Tests the sandbox's promises: nothing remains, nothing outside is changed, clusters are
//! independent, and a boot can be interrupted.

use kubernix_tests::{
    Background, Cluster, EXCLUSIVE, ISOLATED, Lane, Listing, NO_ADDONS, Outcome, Parts, Process, RunningCommand,
    SHARED, Snapshot, Test, alive, checks, each, for_none, main_process, oci_archive, once, pod, processes_of,
    runs_all, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::Duration;

/// The time limit until the remains of a cluster are removed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of a restart.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_all = checks![nothing_remains_when_the_keeper_or_the_init_is_killed, an_interrupted_boot_is_cleaned_up];
    // These depend on the sandbox only, not on its components.
    let of_any = checks![
        nothing_remains_when_up_is_killed_in_mid_boot,
        a_second_interrupt_kills_a_boot,
        a_second_interrupt_kills_a_boot_with_a_hung_init,
        a_boot_reports_that_another_command_ended_it,
    ];
    let of_data = checks![a_killed_component_is_restarted, an_interrupt_of_a_boot_that_continues_keeps_the_data];
    [
        each(ISOLATED, &Parts::all(), &of_all),
        once(ISOLATED, &of_any),
        each(SHARED, &Parts::all(), &of_data),
        once(Lane::shared(2, 2), &checks![clusters_of_one_name_are_independent]),
        once(SHARED, &checks![commands_report_a_stopping_cluster]),
    ]
    .concat()
}

/// Tests that need the whole host.
pub fn exclusive_tests() -> Vec<Test> {
    each(EXCLUSIVE, &Parts::all(), &checks![a_cluster_does_not_change_the_host])
}

/// Waits until the host is as before, except for the cluster's root directory, and all of these
/// processes have ended.
#[track_caller]
fn check_nothing_remains(cluster: &Cluster, id: &str, before: &Snapshot, processes: &[Process]) {
    for_none("removal of all that belonged to the cluster", REMOVAL_TIMEOUT, || {
        let alive = processes.iter().filter(|process| process.is_alive());
        let alive = alive.map(|process| format!("alive: {} {}", process.pid, process.command));
        alive.chain(cluster.changes_since(before, id)).collect()
    });
}

/// Kills the keeper and the init in turn. The cluster has a pod and an uplink.
fn nothing_remains_when_the_keeper_or_the_init_is_killed(parts: Parts) {
    let cluster = Cluster::new("carrier");
    let before = Snapshot::take(&cluster.name, cluster.base());
    cluster.up(&[&NO_ADDONS[..], &parts.settings()].concat()).ok();
    let id = cluster.id();
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    cluster.apply(&pod("main", "sleep 3600", &json!({})));
    let choices: [fn((Pid, Pid)) -> Pid; 2] = [|(keeper, _)| keeper, |(_, init)| init];
    for (number, choose) in choices.into_iter().enumerate() {
        if number > 0 {
            cluster.up(&[]).ok();
        }
        alive(&cluster, "main");
        let carriers = cluster.keeper_and_init();
        let all = processes_of(carriers.0.as_raw(), carriers.1.as_raw());
        assert!(all.len() > 8, "{all:?}");
        let during = cluster.changes_since(&before, &id);
        let own = ["new: process", "new: cgroup", "new: link kubernix-0", "masquerade", "forwarding = 1"];
        for wanted in own {
            assert!(during.iter().any(|change| change.contains(wanted)), "no {wanted} in {during:#?}");
        }
        kill(choose(carriers), Signal::SIGKILL).expect("it runs");
        check_nothing_remains(&cluster, &id, &before, &all);
        assert_eq!(cluster.status()["state"], "stopped");
    }
}

fn nothing_remains_when_up_is_killed_in_mid_boot(parts: Parts) {
    for (tag, event) in [("up-early", "\"boot-started\""), ("up-mid", "\"role-ready\"")] {
        let cluster = Cluster::new(tag);
        let before = Snapshot::take(&cluster.name, cluster.base());
        let boot = cluster.start_up(&parts.settings());
        boot.wait_for_event(event);
        let id = cluster.id();
        boot.signal(Signal::SIGKILL);
        boot.wait().exits(137);
        check_nothing_remains(&cluster, &id, &before, &[]);
    }
}

fn a_killed_component_is_restarted(parts: Parts) {
    let cluster = Cluster::boot_of("restart", parts);
    for component in ["scheduler", parts.datastore.name, parts.runtime.name] {
        let find = |status: &Value| {
            let components = status["components"].as_array().cloned().unwrap_or_default();
            components.into_iter().find(|one| one["component"] == component).expect(component)
        };
        let pid = main_process(&cluster.wait_until_running(), component).expect("a pid");
        kill(pid, Signal::SIGKILL).expect("it runs");
        until(&format!("{component} restarted"), RESTART_TIMEOUT, || {
            let status = cluster.status();
            let again = find(&status);
            let back = again["restarts"] == 1 && again["state"] == "ready" && status["state"] == "running";
            if back { Ok(()) } else { Err(status.to_string()) }
        });
    }
    cluster.kubectl(&["create", "configmap", "after"]).ok();
}

fn a_cluster_does_not_change_the_host(parts: Parts) {
    let cluster = Cluster::new("apart");
    let (before, outside, names) =
        (Snapshot::take(&cluster.name, cluster.base()), Snapshot::outside(), Listing::take());
    let unchanged = |when: &str| {
        let changes = [outside.changes(&Snapshot::outside()), names.changes(&Listing::take())].concat();
        assert!(changes.is_empty(), "{when}: {changes:#?}");
    };
    // With the default addons.
    cluster.up(&parts.settings()).ok();
    unchanged("while it runs");
    cluster.run(&["stop"]).ok();
    unchanged("after a stop");
    cluster.up(&[]).ok();
    let (keeper, init) = cluster.keeper_and_init();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    cluster.run(&["down"]).ok();
    unchanged("after its removal");
    assert!(!cluster.root().exists());
    // Compares the whole host, including the cgroups of all clusters.
    for_none("removal of all that belonged to the cluster", REMOVAL_TIMEOUT, || {
        let alive = all.iter().filter(|process| process.is_alive());
        let alive = alive.map(|process| format!("alive: {} {}", process.pid, process.command));
        alive.chain(before.changes(&Snapshot::take(&cluster.name, cluster.base()))).collect()
    });
    cluster.run(&["down"]).exits(5).says(&["there is no cluster", &cluster.name]);
}

/// Boots two clusters with the same name in two directories.
fn clusters_of_one_name_are_independent(_: Parts) {
    let one = Cluster::boot("same");
    let mut other = Cluster::new("same");
    other.name.clone_from(&one.name);
    other.up(&NO_ADDONS).ok();
    let [of_one, of_other] = [&one, &other].map(Cluster::wait_until_running);
    assert_ne!(of_one["api"], of_other["api"]);
    assert_ne!(of_one["id"], of_other["id"]);
    assert_eq!(one.json(&["list"])[0]["id"], of_one["id"]);
    for (cluster, map) in [(&one, "one"), (&other, "other")] {
        cluster.kubectl(&["create", "configmap", map]).ok();
        cluster.kubectl(&["get", "configmap", map]).ok();
    }
    other.kubectl(&["get", "configmap", "one"]).exits(1).says(&["not found"]);
    let (keeper, init) = one.keeper_and_init();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    kill(init, Signal::SIGKILL).expect("it runs");
    for_none("end of one cluster", REMOVAL_TIMEOUT, || {
        all.iter().filter(|process| process.is_alive()).map(|process| process.command.clone()).collect()
    });
    assert_eq!(pids(&other.wait_until_running()), pids(&of_other));
    other.kubectl(&["get", "configmap", "other"]).ok();
    one.run(&["down"]).ok();
    other.kubectl(&["create", "configmap", "still-there"]).ok();
    assert_eq!(pids(&other.wait_until_running()), pids(&of_other));
}

/// The PIDs on the host of all processes of the components.
fn pids(status: &Value) -> Vec<Value> {
    let components = status["components"].as_array().expect("components");
    components.iter().flat_map(|one| one["pids"].as_array().expect("pids")).cloned().collect()
}

/// Events of a boot of the default parts, from the first to the last but one.
const BOOT_EVENTS: &[&str] = &[
    r#""event":"boot-started""#,
    r#""event":"ready","instance":"certificates""#,
    r#""event":"started","instance":"sandbox""#,
    r#""event":"ready","instance":"sandbox""#,
    r#""event":"started","instance":"etcd""#,
    r#""role":"datastore""#,
    r#""role":"cri""#,
    r#""event":"started","instance":"pause image""#,
    r#""role":"apiserver-port""#,
    r#""event":"started","instance":"bootstrap policy""#,
    r#""event":"started","instance":"proxy (node 0)""#,
    r#""role":"node""#,
    r#""role":"apiserver""#,
];

/// All events, or in a quick run one of each phase.
fn boot_events() -> Vec<&'static str> {
    BOOT_EVENTS.iter().copied().step_by(if runs_all() { 1 } else { 3 }).collect()
}

/// Events whose processes differ with the parts.
const EVENTS_OF_PARTS: &[&str] = &[r#""role":"datastore""#, r#""role":"cri""#];

/// Interrupts a boot as soon as an event is recorded.
#[track_caller]
fn interrupted(parts: Parts, event: &str, interrupt: impl FnOnce(&Cluster, RunningCommand) -> Outcome) {
    let cluster = Cluster::in_missing_directory("int");
    let before = Snapshot::take(&cluster.name, cluster.base());
    let boot = cluster.start_up(&parts.settings());
    boot.wait_for_event(event);
    let id = cluster.id();
    interrupt(&cluster, boot).exits(130).says(&["interrupted"]);
    // The command returns when nothing is left, so this doesn't wait.
    let left = cluster.changes_since(&before, &id);
    assert!(left.is_empty(), "interrupted at {event}: {left:#?}");
    let above = cluster.base().parent().expect("a directory above");
    assert!(!above.exists(), "interrupted at {event}: {} is still there", above.display());
}

fn an_interrupted_boot_is_cleaned_up(parts: Parts) {
    for event in if parts == Parts::default() { boot_events() } else { EVENTS_OF_PARTS.to_vec() } {
        interrupted(parts, event, |_, boot| {
            boot.signal(Signal::SIGINT);
            boot.wait()
        });
    }
}

fn a_second_interrupt_kills_a_boot(parts: Parts) {
    for event in boot_events().into_iter().step_by(if runs_all() { 3 } else { 2 }) {
        interrupted(parts, event, |_, boot| boot.interrupt_until_exit());
    }
}

fn a_second_interrupt_kills_a_boot_with_a_hung_init(parts: Parts) {
    interrupted(parts, r#""role":"cri""#, |cluster, boot| {
        kill(cluster.keeper_and_init().1, Signal::SIGSTOP).expect("it runs");
        boot.interrupt_until_exit()
    });
}

fn a_boot_reports_that_another_command_ended_it(parts: Parts) {
    for (command, event, remains) in [
        ("down", r#""event":"boot-started""#, false),
        ("down", r#""role":"cri""#, false),
        ("stop", r#""role":"cri""#, true),
    ] {
        let cluster = Cluster::new("revoked");
        let before = Snapshot::take(&cluster.name, cluster.base());
        let boot = cluster.start_up(&parts.settings());
        boot.wait_for_event(event);
        let id = cluster.id();
        cluster.run(&[command]).ok();
        let advice = format!("up --name {} --root {}", cluster.name, cluster.base().display());
        boot.wait().exits(5).says(&[&format!("by another `kubernix {command}`"), &advice]);
        let left = cluster.changes_since(&before, &id);
        assert!(left.is_empty(), "{command} at {event}: {left:#?}");
        assert_eq!(cluster.root().exists(), remains, "{command} at {event}");
    }
}

fn commands_report_a_stopping_cluster(parts: Parts) {
    let cluster = Cluster::boot_of("stopping", parts);
    let scheduler = main_process(&cluster.wait_until_running(), "scheduler").expect("a scheduler");
    // A stopped process only reacts to SIGKILL, so the stop lasts for the whole grace.
    kill(scheduler, Signal::SIGSTOP).expect("it runs");
    let stop = Background::start(&mut cluster.command(&["stop"]), cluster.base().join("stop.out"));
    // On a busy machine the request arrives late, and a process may be restarting until then.
    let seen = until("status that says `stopping`", RESTART_TIMEOUT, || {
        let status = cluster.status();
        assert_ne!(status["state"], "broken", "{status}");
        if status["state"] == "stopping" { Ok(status) } else { Err(status.to_string()) }
    });
    let states = seen["components"].as_array().cloned().unwrap_or_default();
    assert!(states.iter().any(|one| one["state"] == "stopping"), "{seen}");
    assert_eq!(cluster.json(&["list"])[0]["state"], "stopping");
    cluster.run(&["kubectl", "--", "version"]).exits(5).says(&["is being stopped"]);
    let seen = until("end of the stop", RESTART_TIMEOUT, || {
        let status = cluster.status();
        if status["state"] == "stopping" { Err(status.to_string()) } else { Ok(status) }
    });
    assert_eq!(seen["state"], "stopped", "{seen}");
    drop(stop);
}

fn an_interrupt_of_a_boot_that_continues_keeps_the_data(parts: Parts) {
    let cluster = Cluster::boot_of("int-again", parts);
    cluster.kubectl(&["create", "configmap", "kept"]).ok();
    cluster.run(&["stop"]).ok();
    let events = std::fs::read_to_string(cluster.root().join("events.jsonl")).expect("events");
    let boot = cluster.start_up(&parts.settings());
    until("second boot", RESTART_TIMEOUT, || {
        let now = std::fs::read_to_string(cluster.root().join("events.jsonl")).unwrap_or_default();
        let new = now.get(events.len()..).unwrap_or_default();
        if new.contains("\"role-ready\"") { Ok(()) } else { Err(new.to_owned()) }
    });
    boot.signal(Signal::SIGINT);
    boot.wait().exits(130);
    cluster.up(&[]).ok();
    cluster.kubectl(&["get", "configmap", "kept"]).ok();
}
