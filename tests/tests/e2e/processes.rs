//! Tests options of processes: one-shot, user, working directory, limits, environment, and liveness
//! probe.

use kubernix_tests::{Cluster, Parts, SHARED, Test, checks, once, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Disables all other components of the cluster.
const OTHERS: [&str; 10] = [
    "apiserver=none",
    "apiserver-port=none",
    "controller-manager=none",
    "cri=none",
    "datastore=none",
    "dns=none",
    "kubelet=none",
    "node=none",
    "proxy=none",
    "scheduler=none",
];

const TIMEOUT: Duration = Duration::from_secs(60);

/// `setup` runs once and writes a file. `service` logs its environment, and is alive as long as its
/// file exists.
const COMPONENT: &str = r#"
[component]
name = "settings"
version = "1.0.0"
description = "says with what its process runs"
phase = "Infrastructure"
provides = ["settings"]
requires = ["sandbox"]

[[parameter]]
name = "level"
kind = "choice"
choices = ["low", "high"]
default = "low"
help = "what the process is told"

[[parameter]]
name = "extra-args"
kind = "words"
help = "what the process is told as well"

[[directory]]
path = "{{dir}}/work"

[[process]]
name = "setup"
program = "/bin/sh"
args = ["-c", "sleep 0.3; echo done >> setup"]
directory = "{{dir}}/work"
one-shot = true

[[process]]
name = "service"
program = "/bin/sh"
args = [
    "-c",
    "echo \"$(id -u):$(id -g) $PWD $(ulimit -n) $LEVEL $2 setup=$(cat setup)\"; touch alive; exec sleep 1000",
    "sh",
    "{{parameter.extra-args}}",
]
env = { LEVEL = "{{parameter.level}}" }
directory = "{{dir}}/work"
user = "65534:65533"
limits = { nofile = 77 }
stop-grace-ms = 1000

[process.liveness]
probe = { kind = "command", target = "/bin/sh", arguments = ["-c", "test -e \"$FILE\""], env = { FILE = "{{dir}}/work/alive" } }
interval-ms = 500
failures = 2

[[provide]]
role = "settings"
probe = { kind = "command", target = "/bin/sh", arguments = ["-c", "test -e \"$FILE\""], env = { FILE = "{{dir}}/work/alive" } }
"#;

pub fn tests() -> Vec<Test> {
    once(SHARED, &checks![process_options_are_applied_and_liveness_restarts, a_control_plane_runs_without_nodes])
}

fn a_control_plane_runs_without_nodes(_: Parts) {
    let cluster = Cluster::new("nodeless");
    let refused = cluster.up(&["--set", "kubelet=none"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let reason = "role `node` is empty, but `proxy` requires it";
    assert!(refused.stderr.contains(reason) && refused.stderr.contains("or leave `proxy` out as well"), "{refused:?}");

    // There is no addon either: its pods would have no node.
    cluster.up(&["--set", "kubelet=none", "--set", "proxy=none", "--set", "cri=none"]).ok();
    assert_eq!(cluster.kubectl(&["get", "nodes", "-o", "name"]).ok().stdout, "");
    cluster.kubectl(&["create", "configmap", "one"]).ok();
    cluster.run(&["down"]).ok();
}

fn process_options_are_applied_and_liveness_restarts(_: Parts) {
    let cluster = Cluster::new("processes");
    let plugin = cluster.base().join("settings.toml");
    fs::write(&plugin, COMPONENT).expect("a component");
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o644)).expect("a file of our own");
    let plugin = plugin.to_string_lossy().into_owned();
    let others: Vec<&str> = OTHERS.iter().flat_map(|form| ["--set", form]).collect();
    let up = |more: &[&str]| cluster.up(&[&["--plugin", &plugin], &others[..], more].concat());

    let refused = up(&["--set", "settings.level=middle"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("parameter `level` is `middle`: use one of low, high"), "{refused:?}");

    up(&["--set", "settings.level=high", "--set", "settings.extra-args=one 'two words'"]).ok();
    let directory = cluster.root().join("control/settings");
    let log = || fs::read_to_string(directory.join("service.log")).expect("the log of the process");
    let line = log();
    assert!(line.starts_with("65534:65533 /"), "{line}");
    assert!(line.trim_end().ends_with("/work 77 high two words setup=done"), "{line}");

    // From here on the check fails until the process is restarted.
    fs::remove_file(directory.join("work/alive")).expect("the file of the process");
    let restarted = until("a restart", TIMEOUT, || {
        let status = cluster.status();
        let components = status["components"].as_array().expect("components");
        let one = components.iter().find(|one| one["component"] == "settings").expect("the component").clone();
        if one["restarts"] == 1 && one["state"] == "ready" { Ok(one) } else { Err(one.to_string()) }
    });
    assert_eq!(log().lines().count(), 2, "{restarted}: {}", log());
    let setup = fs::read_to_string(directory.join("work/setup")).expect("the file of the one-shot process");
    assert_eq!(setup, "done\n", "a restart of another process doesn't run it again");
    let events = fs::read_to_string(cluster.root().join("events.jsonl")).expect("events");
    assert!(events.contains("process `service` failed 2 liveness checks in a row"), "{events}");
    cluster.run(&["down"]).ok();
}
