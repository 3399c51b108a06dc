//! What stays of a cluster when it stops, or is killed, and starts again; and what doesn't when it is destroyed.

use kubernix_tests::{Cluster, IMAGE, Parts, alive, checks, each, oci_archive, processes_of, run_in_order};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// The pod of the Deployment, as kubectl finds it.
const POD: &str = "deployment/kept";

fn main() {
    let each_kept = checks![
        stop_and_up_keep_objects_images_and_certificates,
        up_after_everything_was_killed_keeps_objects_images_and_certificates,
    ];
    let of_runtimes = checks![an_edited_file_is_kept_and_said];
    let of_any = checks![settings_of_a_cluster_stay_and_contradictions_are_said, down_removes_all_of_it_running_or_not];
    let trials =
        [each(&Parts::all(), &each_kept), each(&Parts::runtimes(), &of_runtimes), each(&[Parts::default()], &of_any)];
    run_in_order(trials.into_iter().flatten().collect()).exit();
}

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
    alive(cluster, POD);
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

fn stop_and_up_keep_objects_images_and_certificates(parts: Parts) {
    let cluster = Cluster::boot_of("stop", parts);
    furnish(&cluster);
    let before = kept(&cluster);
    cluster.run(&["stop"]).ok();
    assert_eq!(cluster.json(&["status"])["state"], "stopped");
    cluster.kubectl(&["get", "nodes"]).exits(5).says(&["is stopped", "kubernix up"]);
    cluster.run(&["stop"]).exits(5).says(&["is stopped"]);
    cluster.up(&[]).ok();
    same(&cluster, &before);
    alive(&cluster, POD);
}

fn up_after_everything_was_killed_keeps_objects_images_and_certificates(parts: Parts) {
    let cluster = Cluster::boot_of("killed", parts);
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
    alive(&cluster, POD);
}

fn an_edited_file_is_kept_and_said(parts: Parts) {
    let cluster = Cluster::boot_of("edited", parts);
    cluster.run(&["stop"]).ok();
    let conf = cluster.root().join("nodes/node-0").join(parts.runtime.name).join(parts.runtime.config);
    let edited = fs::read_to_string(&conf).expect("a configuration") + "\n# edited by a user\n";
    fs::write(&conf, &edited).expect("it can be written");
    cluster.up(&[]).ok().says(&[&format!("{} was edited and is left as it is", parts.runtime.config)]);
    assert_eq!(fs::read_to_string(&conf).expect("a configuration"), edited);
}

fn settings_of_a_cluster_stay_and_contradictions_are_said(_: Parts) {
    let cluster = Cluster::new("settings");
    cluster.up(&["--cidr", "10.77.0.0/16", "--proxy", "proxy"]).ok();
    cluster.up(&[]).exits(4).says(&["runs already", &cluster.name]);
    let pod_cidr = cluster.get(&["node", "node-0"])["spec"]["podCIDR"].clone();
    assert_eq!(pod_cidr, "10.77.0.0/24");
    cluster.run(&["stop"]).ok();
    cluster.up(&["--cidr", "10.78.0.0/16"]).exits(2).says(&["10.77.0.0/16", "10.78.0.0/16", "--cidr"]);
    let said = ["slots.proxy: `none` (--set proxy) replaces `proxy`", "kubernix.toml"];
    // Without a proxy no pod reaches the API by its Service, and so DNS would never be ready.
    cluster.up(&["--set", "proxy=none", "--addons", "none"]).ok().says(&said);
    assert_eq!(cluster.get(&["node", "node-0"])["spec"]["podCIDR"], pod_cidr);
    // What was asked for once stays so.
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    let components = cluster.running()["components"].to_string();
    assert!(!components.contains("kube-proxy"), "{components}");
}

fn down_removes_all_of_it_running_or_not(_: Parts) {
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
