//! Tests that clusters are identified by their IDs: a running cluster can be renamed, names can be
//! reused, and the program can be replaced.

use kubernix_tests::{
    Base, Cluster, Lane, NO_ADDONS, Outcome, Parts, SHARED, Snapshot, Test, alive, checks, copy_environment, each,
    for_none, kubernix, oci_archive, once, pod, processes_of, run, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_all = checks![a_running_cluster_is_renamed_without_restarts];
    let of_nodes = checks![a_cluster_survives_replacement_and_removal_of_the_program];
    let of_any = checks![
        a_stopped_cluster_is_renamed_with_its_entries_in_kubeconfigs,
        the_next_command_completes_an_interrupted_rename,
        rejected_renames_change_nothing,
    ];
    [
        each(Lane::shared(1, 4), &Parts::of_nodes(), &of_nodes),
        each(Lane::shared(2, 3), &Parts::all(), &of_all),
        once(SHARED, &of_any),
    ]
    .concat()
}

/// Renames a cluster, also in this value.
#[track_caller]
fn rename(cluster: &mut Cluster, name: &str) -> Value {
    let renamed = try_rename(cluster, &cluster.name, name).ok().json();
    cluster.name = name.to_owned();
    renamed
}

#[track_caller]
fn try_rename(cluster: &Cluster, from: &str, to: &str) -> Outcome {
    let mut command = kubernix();
    run(command.args(["rename", from, to, "--output", "json", "--root"]).arg(cluster.base()))
}

/// The PIDs on the host of all processes of the components.
fn pids(status: &Value) -> Vec<Value> {
    let components = status["components"].as_array().expect("components");
    components.iter().flat_map(|one| one["pids"].as_array().expect("pids")).cloned().collect()
}

/// The plans of the instances, with programs and arguments of processes.
fn plan(cluster: &Cluster) -> Value {
    cluster.json(&["plan"])["instances"].clone()
}

fn with_pod(cluster: &Cluster, name: &str) {
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    cluster.apply(&pod(name, "sleep 3600", &json!({})));
    alive(cluster, name);
}

/// The identity of a pod and its container.
fn identity(pod: &Value) -> [Value; 3] {
    let container = &pod["status"]["containerStatuses"][0];
    [pod["metadata"]["uid"].clone(), container["containerID"].clone(), container["restartCount"].clone()]
}

/// Waits until nothing of a cluster is left on the host. Other changes of the host are ignored.
#[track_caller]
fn check_nothing_remains(cluster: &Cluster, id: &str) {
    for_none("rest of a cluster", TIMEOUT, || {
        let nothing = Snapshot::default();
        let mut left = nothing.changes(&Snapshot::take(&cluster.name, cluster.base()));
        left.retain(|thing| thing.contains(id) || thing.contains(&*cluster.base().to_string_lossy()));
        left
    });
}

fn a_running_cluster_is_renamed_without_restarts(parts: Parts) {
    let mut cluster = Cluster::new("rename");
    let booted = run(cluster.command(&["up", "--output", "json"]).args(NO_ADDONS).args(parts.settings())).ok().json();
    with_pod(&cluster, "main");
    let (old, new) = (cluster.name.clone(), format!("{}-new", cluster.name));
    let (status, container) = (cluster.wait_until_running(), identity(&cluster.ready_pod("main")));
    let (planned, carriers) = (plan(&cluster), cluster.keeper_and_init());
    let id = status["id"].as_str().expect("an ID").to_owned();
    assert_eq!((booted["id"].as_str(), id.len()), (Some(&*id), 16));

    let renamed = rename(&mut cluster, &new);
    assert_eq!((&renamed["id"], &renamed["was"], &renamed["running"]), (&json!(id), &json!(old), &json!(true)));
    assert!(!cluster.base().join(&old).exists());
    let now = cluster.wait_until_running();
    assert_eq!((&now["name"], &now["id"]), (&json!(new), &json!(id)));
    assert_eq!((pids(&now), cluster.keeper_and_init()), (pids(&status), carriers), "nothing is restarted");
    assert_eq!(identity(&cluster.ready_pod("main")), container);
    assert_eq!(plan(&cluster), planned, "nothing of a plan depends on the name");
    alive(&cluster, "main");
    // The environment of users has the new name as well.
    let environment = fs::read_to_string(cluster.root().join("kubernix.env")).expect("kubernix.env");
    assert!(environment.contains(&format!("/{new}/")) && !environment.contains(&format!("/{old}/")), "{environment}");
    let log = now["components"][0]["logs"][0].as_str().expect("a log").to_owned();
    assert!(Path::new(&log).starts_with(cluster.root()) && Path::new(&log).exists(), "{log}");
    assert!(cluster.run(&["enter", "--", "cat", "/var/lib/kubernix-cluster/state.json"]).ok().stdout.contains(&id));

    // The old name can be reused.
    let mut other = cluster.sibling("other");
    other.name.clone_from(&old);
    other.up(&[&NO_ADDONS[..], &parts.settings()].concat()).ok();
    assert_ne!(other.json(&["status"])["id"], json!(id));
    assert_eq!(pids(&cluster.wait_until_running()), pids(&status));
    other.run(&["down"]).ok();
    assert_eq!(identity(&cluster.ready_pod("main")), container);
    alive(&cluster, "main");

    // It is changed, stopped, started and destroyed under the new name.
    cluster.run(&["node", "add"]).ok();
    cluster.run(&["snapshot", "save", &cluster.base().join("saved.tar.gz").to_string_lossy()]).ok();
    cluster.run(&["stop"]).ok();
    let again = cluster.up(&[]).ok();
    assert!(!again.stderr.contains("created again"), "certificates and keys are still valid: {}", again.stderr);
    assert_eq!(cluster.wait_until_running()["id"], json!(id));
    until("restarted pod", TIMEOUT, || {
        let pod = cluster.get(&["pod", "main"]);
        let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
        if restarts > Some(0) && pod["metadata"]["uid"] == container[0] {
            Ok(())
        } else {
            Err(pod["status"].to_string())
        }
    });
    alive(&cluster, "main");
    cluster.run(&["down"]).ok();
    check_nothing_remains(&cluster, &id);
    assert!(!cluster.root().exists());
}

/// Runs a command with this kubeconfig of the user.
fn with_kubeconfig(mut command: Command, file: &Path) -> Outcome {
    run(command.env("KUBECONFIG", file))
}

fn a_stopped_cluster_is_renamed_with_its_entries_in_kubeconfigs(_: Parts) {
    let mut cluster = Cluster::new("stopped");
    let (own, old) = (cluster.base().join("config"), cluster.name.clone());
    with_kubeconfig(cluster.command(&["up", "--merge-kubeconfig", "--addons", "none"]), &own).ok();
    cluster.kubectl(&["create", "configmap", "kept"]).ok();
    cluster.run(&["stop"]).ok();
    let merged = fs::read_to_string(&own).expect("a kubeconfig");
    let new = format!("{old}-x");
    let mut command = kubernix();
    command.args(["rename", &old, &new, "--root"]).arg(cluster.base());
    let output = with_kubeconfig(command, &own).ok().stdout;
    assert!(
        output.contains(&format!("context `kubernix-{old}` in ")) && output.contains(&format!("`kubernix-{new}`")),
        "{output}"
    );
    cluster.name.clone_from(&new);
    let renamed = fs::read_to_string(&own).expect("a kubeconfig");
    assert_eq!(renamed, merged.replace(&format!("kubernix-{old}"), &format!("kubernix-{new}")));
    let up = with_kubeconfig(cluster.command(&["up"]), &own).ok();
    assert!(!up.stderr.contains("created again"), "{}", up.stderr);
    cluster.kubectl(&["get", "configmap", "kept"]).ok();
    with_kubeconfig(cluster.command(&["down"]), &own).ok();
    assert!(!fs::read_to_string(&own).expect("a kubeconfig").contains("kubernix-"));
}

fn the_next_command_completes_an_interrupted_rename(_: Parts) {
    let mut cluster = Cluster::boot("broken-off");
    for running in [true, false] {
        if !running {
            cluster.run(&["stop"]).ok();
        }
        let (root, new) = (cluster.root(), format!("{}-x", cluster.name));
        // The state after a command that ended right after the commit.
        fs::rename(&root, cluster.base().join(&new)).expect("a rename");
        cluster.name = new;
        let status = cluster.json(&["status"]);
        assert_eq!(
            (&status["name"], &status["state"]),
            (&json!(cluster.name), &json!(["stopped", "running"][usize::from(running)]))
        );
        for file in ["state.json", "kubernix.toml", "kubernix.env", "kubeconfig/admin.kubeconfig"] {
            let text = fs::read_to_string(cluster.root().join(file)).expect(file);
            assert!(text.contains(&*cluster.name), "{file}: {text}");
        }
    }
    cluster.up(&[]).ok();
    cluster.wait_until_running();
}

fn rejected_renames_change_nothing(_: Parts) {
    let cluster = Cluster::new("refused");
    let (name, base) = (cluster.name.clone(), cluster.base().to_owned());
    let refused = |from: &str, to: &str, code, parts: &[&str]| {
        try_rename(&cluster, from, to).exits(code).says(parts);
    };
    refused("nowhere", "new", 5, &["there is no cluster `nowhere`"]);
    let boot = cluster.start_up(&NO_ADDONS);
    boot.wait_for_event(r#""role":"cri""#);
    refused(&name, "new", 4, &["`kubernix up` is at work", &name]);
    boot.wait().ok();
    fs::create_dir(base.join("taken")).expect("a directory");
    refused(&name, "taken", 2, &[&name, "`taken`", "exists"]);
    refused(&name, "Not_A_Label", 2, &["`Not_A_Label` can't name a cluster"]);
    refused(&name, "../out", 2, &["`../out` can't name a cluster"]);
    assert_eq!(cluster.wait_until_running()["name"], json!(name));
    // A rename to the current name isn't an error.
    assert_eq!(try_rename(&cluster, &name, &name).ok().json()["name"], json!(name));
    cluster.wait_until_running();
}

/// A copy of the program under test, to boot a cluster with.
fn copy_of_our_program(place: &Base) -> PathBuf {
    let copy = place.path().join("kubernix");
    fs::copy(kubernix().get_program(), &copy).expect("a copy");
    copy
}

fn a_cluster_survives_replacement_and_removal_of_the_program(parts: Parts) {
    let (cluster, place) = (Cluster::new("program"), Base::new());
    let copy = copy_of_our_program(&place);
    let own = cluster.command(&["up", "--nodes", "2", "--addons", "none"]);
    let mut up = kubernix_tests::program(&copy);
    up.args(own.get_args()).args(parts.settings());
    copy_environment(&own, &mut up);
    run(up.current_dir("/")).ok();
    with_pod(&cluster, "first");
    // A build replaces the file. The new one here doesn't work.
    let broken = place.path().join("broken");
    fs::write(&broken, "#!/bin/sh\nexit 9\n").expect("a script");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).expect("an executable");
    fs::rename(&broken, &copy).expect("a rename");
    cluster.run(&["node", "add"]).ok();
    fs::remove_file(&copy).expect("the copy can be removed");
    cluster.run(&["node", "add"]).ok();
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    for node in 0..4 {
        let mut on_node = pod(&format!("on-{node}"), "sleep 3600", &json!({}));
        on_node["spec"]["nodeName"] = json!(format!("node-{node}"));
        cluster.apply(&on_node);
        alive(&cluster, &format!("on-{node}"));
    }
    // A node whose PID 1 ended is created again.
    let (keeper, init) = cluster.keeper_and_init();
    let first =
        processes_of(keeper.as_raw(), init.as_raw()).into_iter().find(|process| process.command.trim() == "node");
    kill(Pid::from_raw(first.expect("a node's first process").pid), Signal::SIGKILL).expect("it runs");
    until("recreated node", TIMEOUT, || {
        let status = cluster.run(&["status"]);
        if status.code == 0 { Ok(()) } else { Err(format!("{status:?}")) }
    });
    alive(&cluster, "on-0");
    cluster.run(&["node", "stop", "node-1"]).ok();
    cluster.run(&["node", "start", "node-1"]).ok();
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    alive(&cluster, "on-0");
}
