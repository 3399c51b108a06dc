//! What stays of a cluster when it stops, or is killed, and starts again; and what doesn't when it is destroyed.

use kubernix_tests::{Cluster, IMAGE, oci_archive, processes_of, skip_if, unfit, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// A Deployment of one pod, and a ConfigMap.
fn furnish(cluster: &Cluster) {
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    let container = json!({
        "name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", "sleep 3600"],
    });
    let labels = json!({ "app": "kept" });
    let template = json!({
        "metadata": { "labels": labels },
        "spec": { "containers": [container], "terminationGracePeriodSeconds": 0 },
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "kept" },
        "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": template },
    });
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kept" }, "data": { "answer": "42" },
    });
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [deployment, config] }));
    runs(cluster);
}

/// Waits until the Deployment's pod runs, and can be worked with.
fn runs(cluster: &Cluster) {
    let exec = ["exec", "deployment/kept", "--", "sh", "-c", "echo alive"];
    until("pod that runs", LIMIT, || {
        let outcome = cluster.kubectl(&exec);
        if outcome.stdout == "alive\n" {
            return Ok(());
        }
        let pods = cluster.kubectl(&["describe", "pods"]);
        Err(format!("{outcome:?}\n{}{}", pods.stdout, pods.stderr))
    });
}

/// What has to be the same after a restart.
fn kept(cluster: &Cluster) -> (Value, Value, BTreeMap<PathBuf, Vec<u8>>) {
    let config = cluster.get(&["configmap", "kept"]);
    let identity = json!([config["metadata"]["uid"], config["data"]]);
    let mut files = BTreeMap::new();
    read_all(&cluster.root().join("pki"), &mut files);
    assert!(files.len() > 10, "only {} files in pki/", files.len());
    (identity, cluster.json(&["image", "list"]), files)
}

fn read_all(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
}

/// Compares, and names what differs: bytes of keys are nothing to look at.
fn same(cluster: &Cluster, before: &(Value, Value, BTreeMap<PathBuf, Vec<u8>>)) {
    let after = kept(cluster);
    assert_eq!(before.0, after.0, "objects");
    assert_eq!(before.1, after.1, "images");
    let changed: Vec<_> = before.2.iter().filter(|(path, bytes)| after.2.get(*path) != Some(bytes)).collect();
    assert!(changed.is_empty(), "changed: {:?}", changed.iter().map(|(path, _)| path).collect::<Vec<_>>());
    assert!(before.2.len() == after.2.len(), "files were added to pki/");
}

#[test]
fn stop_and_up_keep_objects_images_and_certificates() {
    skip_if!(unfit());
    let cluster = Cluster::boot("stop");
    furnish(&cluster);
    let before = kept(&cluster);
    cluster.run(&["stop"]).ok();
    assert_eq!(cluster.json(&["status"])["state"], "stopped");
    cluster.kubectl(&["get", "nodes"]).exits(5).says(&["is stopped", "kubernix up"]);
    cluster.run(&["stop"]).exits(5).says(&["is stopped"]);
    cluster.up(&[]).ok();
    same(&cluster, &before);
    runs(&cluster);
}

#[test]
fn up_after_everything_was_killed_keeps_objects_images_and_certificates() {
    skip_if!(unfit());
    let cluster = Cluster::boot("killed");
    furnish(&cluster);
    let before = kept(&cluster);
    let (keeper, init) = cluster.carriers();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    for process in [keeper, init] {
        kill(process, Signal::SIGKILL).expect("it was there");
    }
    kubernix_tests::for_none("end of all processes", LIMIT, || {
        all.iter().filter(|process| process.is_alive()).map(|process| process.command.clone()).collect()
    });
    assert_eq!(cluster.json(&["status"])["state"], "stopped");
    cluster.up(&[]).ok();
    same(&cluster, &before);
    runs(&cluster);
}

#[test]
fn an_edited_file_is_kept_and_said() {
    skip_if!(unfit());
    let cluster = Cluster::boot("edited");
    cluster.run(&["stop"]).ok();
    let conf = cluster.root().join("nodes/node-0/crio/crio.conf");
    let edited = fs::read_to_string(&conf).expect("crio.conf") + "\n# edited by a user\n";
    fs::write(&conf, &edited).expect("crio.conf can be written");
    cluster.up(&[]).ok().says(&["crio.conf was edited and is left as it is"]);
    assert_eq!(fs::read_to_string(&conf).expect("crio.conf"), edited);
}

#[test]
fn settings_of_a_cluster_stay_and_contradictions_are_said() {
    skip_if!(unfit());
    let cluster = Cluster::new("settings");
    cluster.up(&["--cidr", "10.77.0.0/16"]).ok();
    cluster.up(&[]).exits(4).says(&["runs already", &cluster.name]);
    let pod_cidr = cluster.get(&["node", "node-0"])["spec"]["podCIDR"].clone();
    assert_eq!(pod_cidr, "10.77.0.0/24");
    cluster.run(&["stop"]).ok();
    cluster.up(&["--cidr", "10.78.0.0/16"]).exits(2).says(&["10.77.0.0/16", "10.78.0.0/16", "--cidr"]);
    cluster.up(&["--boot-timeout", "100"]).ok().says(&["100"]);
    assert_eq!(cluster.get(&["node", "node-0"])["spec"]["podCIDR"], pod_cidr);
}

#[test]
fn down_removes_all_of_it_running_or_not() {
    skip_if!(unfit());
    let cluster = Cluster::boot("down");
    let (keeper, init) = cluster.carriers();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    cluster.run(&["down"]).ok();
    assert!(!cluster.root().exists());
    let left: Vec<_> = all.iter().filter(|process| process.pid != keeper.as_raw() && process.is_alive()).collect();
    assert!(left.is_empty(), "{left:?}");
    cluster.run(&["down"]).exits(5).says(&["there is no cluster", &cluster.name]);
    cluster.up(&[]).ok();
    cluster.run(&["stop"]).ok();
    cluster.run(&["down"]).ok();
    assert!(!cluster.root().exists());
    assert!(kill(Pid::from_raw(init.as_raw()), None).is_err(), "the first init is still there");
}
