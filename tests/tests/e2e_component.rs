//! Components of a cluster that runs are replaced: by another build, by another component, and not by one that doesn't work.

use kubernix_tests::{Cluster, IMAGE, oci_archive, skip_if, unfit};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The main process of a component, as the host numbers it.
fn pid(cluster: &Cluster, component: &str) -> i64 {
    let status = cluster.json(&["status"]);
    let components = status["components"].as_array().expect("components");
    let found = components.iter().find(|one| one["component"] == component);
    let pids = found.and_then(|one| one["pids"].as_array()).expect("a component that runs");
    pids[0].as_i64().expect("a process")
}

/// A program that tells a fitting version and then does this.
fn scheduler(cluster: &Cluster, name: &str, then: &str) -> String {
    let path = cluster.base().join(name);
    let text = format!("#!/bin/sh\n[ \"$1\" = --version ] && {{ echo 'Kubernetes v1.36.9'; exit; }}\n{then}\n");
    fs::write(&path, text).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an executable");
    path.to_string_lossy().into_owned()
}

/// The program that a component runs now.
fn program(cluster: &Cluster, component: &str) -> PathBuf {
    let status = cluster.json(&["status"]);
    let components = status["components"].as_array().expect("components").clone();
    let found = components.into_iter().find(|one| one["component"] == component).expect("the component");
    let log = PathBuf::from(found["logs"][0].as_str().expect("a log"));
    let run: Value =
        serde_json::from_slice(&fs::read(log.with_extension("run.json")).expect("a run.json")).expect("JSON");
    run["process"]["program"].as_str().or_else(|| run["program"].as_str()).expect("a program").into()
}

#[test]
fn one_binary_is_swapped_alone_and_a_broken_one_is_taken_back() {
    skip_if!(unfit());
    let cluster = Cluster::boot("component");
    let (etcd, before) = (pid(&cluster, "etcd"), program(&cluster, "scheduler"));
    let good = scheduler(&cluster, "good", &format!("exec '{}' \"$@\"", before.display()));
    cluster.run(&["component", "replace", "--set", &format!("scheduler.binary={good}")]).ok();
    assert_eq!(program(&cluster, "scheduler"), PathBuf::from(&good));
    assert_eq!(pid(&cluster, "etcd"), etcd, "the others go on");

    let broken = scheduler(&cluster, "broken", "echo 'broken on purpose'; exit 3");
    let outcome = cluster.run(&["component", "replace", "--set", &format!("scheduler.binary={broken}")]);
    assert_eq!(outcome.code, 6, "{outcome:?}");
    assert!(outcome.stderr.contains("exit status 3") && outcome.stderr.contains("broken on purpose"), "{outcome:?}");
    assert!(outcome.stderr.contains("what ran before runs again"), "{outcome:?}");
    assert_eq!(program(&cluster, "scheduler"), PathBuf::from(&good));
    assert_eq!(cluster.running()["state"], "running");
    assert_eq!(pid(&cluster, "etcd"), etcd);

    // What was refused isn't remembered either.
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    assert_eq!(program(&cluster, "scheduler"), PathBuf::from(&good));
}

#[test]
fn a_component_without_rust_joins_a_cluster_that_runs_and_the_runtime_is_started_anew() {
    skip_if!(unfit());
    let cluster = Cluster::boot("toml");
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    let text = "[component]\nname = \"note\"\nversion = \"1.0.0\"\ndescription = \"leaves a note\"\nphase = \"Addon\"\n\
        provides = [\"note\"]\nrequires = [\"apiserver\"]\n\n[[provide]]\nrole = \"note\"\nprobe = { kind = \"started\" }\n\n\
        [[manifest]]\nname = \"note\"\nyaml = '''\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: note, namespace: default }\n\
        data: { cluster: \"{{cluster}}\", service: \"{{address.services}}\" }\n'''\n";
    let file = cluster.base().join("note.toml");
    fs::write(&file, text).expect("a component");
    let file = file.to_string_lossy().into_owned();
    cluster.run(&["component", "replace", "note", "note", "--plugin", &file]).ok();
    assert_eq!(cluster.get(&["configmap", "note"])["data"]["service"], "10.10.128.0/18");
    let rows = cluster.json(&["component", "list"]);
    let row = rows.as_array().expect("rows").iter().find(|row| row["role"] == "note").expect("the role").clone();
    assert_eq!((&row["state"], &row["source"]["kind"]), (&json!("ready"), &json!("toml")));

    // Its pods end with the runtime, and the same images are there for those that come.
    let (before, images) = (pid(&cluster, "crio"), cluster.json(&["image", "list"]));
    cluster.run(&["component", "replace", "cri", "crio"]).ok();
    assert_ne!(pid(&cluster, "crio"), before);
    assert_eq!(cluster.json(&["image", "list"]), images);
    let pod =
        ["run", "after", "--image", IMAGE, "--image-pull-policy=Never", "--command", "--", "sh", "-c", "sleep 3600"];
    cluster.kubectl(&pod).ok();
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/after", "--timeout=60s"]).ok();
}
