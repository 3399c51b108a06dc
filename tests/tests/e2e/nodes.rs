//! Tests clusters of several nodes: their network, adding and removing nodes, stop and start, and
//! recovery from failures.

use kubernix_tests::{
    Background, Cluster, Lane, Parts, RUNTIMES, SHARED, Snapshot, Test, checks, each, kubernix, oci_archive, once, pod,
    run, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(90);
/// The node with another runtime.
const OTHER: &str = "node-2";

pub fn tests() -> Vec<Test> {
    let of_nodes = checks![nodes_are_added_stopped_and_removed];
    let of_placements = checks![any_member_of_the_control_plane_can_be_lost];
    let of_turns = checks![concurrent_changes_run_one_after_another];
    let of_any = checks![invalid_node_settings_are_rejected];
    [
        each(Lane::isolated(3, 4), &Parts::placements(), &of_placements),
        each(Lane::isolated(1, 4), &Parts::of_nodes(), &of_nodes),
        once(Lane::shared(1, 3), &of_turns),
        once(SHARED, &of_any),
    ]
    .concat()
}

/// A pod on a node that serves its own name at port 8080.
fn server(node: &str) -> Value {
    let script = "echo I serve; while true; do echo $HOSTNAME | nc -l -p 8080; done";
    let mut server = pod(&format!("on-{node}"), script, &json!({}));
    server["spec"]["nodeName"] = node.into();
    server["metadata"]["labels"] = json!({ "app": "servers" });
    server
}

fn nodes(cluster: &Cluster) -> Vec<Value> {
    cluster.json(&["node", "list"]).as_array().expect("nodes").clone()
}

fn state(cluster: &Cluster, node: &str) -> String {
    let all = nodes(cluster);
    let found = all.iter().find(|one| one["name"] == node).unwrap_or_else(|| panic!("{node} is not in {all:?}"));
    found["state"].as_str().expect("a state").to_owned()
}

/// The Ready condition of a node.
fn ready(cluster: &Cluster, node: &str) -> String {
    let node = cluster.get(&["node", node]);
    let conditions = node["status"]["conditions"].as_array().expect("conditions").clone();
    let ready = conditions.iter().find(|one| one["type"] == "Ready").expect("a Ready condition");
    ready["status"].as_str().expect("a status").to_owned()
}

fn answers(cluster: &Cluster, from: &str, host: &str, port: &str, wanted: &str) {
    until(&format!("answer of {host} to {from}"), TIMEOUT, || {
        let answer = cluster.kubectl(&["exec", from, "--", "nc", "-w", "3", host, port]);
        if answer.stdout.starts_with(wanted) { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}

fn nodes_are_added_stopped_and_removed(parts: Parts) {
    let other = RUNTIMES.iter().find(|runtime| **runtime != *parts.runtime).expect("another runtime");
    let cluster = Cluster::new("nodes");
    let before = Snapshot::take(&cluster.name, cluster.base());
    let differs = format!("{OTHER}/cri={}", other.name);
    let label = format!("{OTHER}/kubelet.labels=disk=ssd");
    let settings = ["--nodes", "3", "--zones", "2", "--set", &differs, "--set", &label];
    cluster.up(&[&settings[..], &parts.settings()].concat()).ok();
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();

    check_nodes(&cluster, parts, other.cri);
    check_pod_network(&cluster);
    check_access(&cluster);
    check_added_node(&cluster, parts);
    check_stopped_node(&cluster);
    check_recreated_node(&cluster);
    check_nodes_after_restart(&cluster);

    let id = cluster.id();
    cluster.run(&["down"]).ok();
    let left = cluster.changes_since(&before, &id);
    assert!(left.is_empty(), "{left:#?}");
}

fn check_nodes(cluster: &Cluster, parts: Parts, other: &str) {
    let zones: Vec<Value> = nodes(cluster).iter().map(|node| node["zone"].clone()).collect();
    assert_eq!(zones, ["zone-0", "zone-1", "zone-0"]);
    for node in ["node-0", "node-1", OTHER] {
        let object = cluster.get(&["node", node]);
        let version = object["status"]["nodeInfo"]["containerRuntimeVersion"].as_str().expect("a version");
        let cri = if node == OTHER { other } else { parts.runtime.cri };
        assert!(version.starts_with(&format!("{cri}://")), "{node}: {version}");
        let listed = nodes(cluster).into_iter().find(|one| one["name"] == node).expect("the node");
        assert_eq!(object["spec"]["podCIDR"], listed["pod_cidr"]);
        assert_eq!(object["metadata"]["labels"]["topology.kubernetes.io/zone"], listed["zone"]);
        let disk = &object["metadata"]["labels"]["disk"];
        assert_eq!(disk.as_str(), (node == OTHER).then_some("ssd"), "{node}");
        cluster.run(&["enter", node, "--", "hostname"]).ok().prints(&[node]);
    }
}

fn check_pod_network(cluster: &Cluster) {
    for node in ["node-0", "node-1", OTHER] {
        cluster.apply(&server(node));
    }
    let ports = json!([{ "port": 80, "targetPort": 8080 }]);
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "servers" },
        "spec": { "selector": { "app": "servers" }, "ports": ports },
    }));
    let names = ["node-0", "node-1", OTHER].map(|node| format!("on-{node}"));
    let addresses = names
        .each_ref()
        .map(|name| cluster.ready_pod(name)["status"]["podIP"].as_str().expect("an address").to_owned());
    for from in &names {
        for (to, address) in names.iter().zip(&addresses) {
            answers(cluster, from, address, "8080", to);
        }
        answers(cluster, from, "servers.default.svc.cluster.local", "80", "on-node-");
    }
}

fn check_access(cluster: &Cluster) {
    for node in ["node-0", "node-1", OTHER] {
        let pod = format!("on-{node}");
        cluster.kubectl(&["logs", &pod]).ok().prints(&["I serve"]);
        let mut forward = cluster.command(&["kubectl", "--", "port-forward", &format!("pod/{pod}"), ":8080"]);
        let forward = Background::start(&mut forward, cluster.base().join(format!("forwarded-{node}")));
        let port = forward.prints("port that is forwarded", |text| {
            let rest = text.split_once("127.0.0.1:")?.1;
            rest.split_once(' ')?.0.parse::<u16>().ok()
        });
        until(&format!("answer of {pod}"), TIMEOUT, || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| error.to_string())?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|error| error.to_string())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
            if answer.starts_with(&pod) { Ok(()) } else { Err(answer) }
        });
    }
}

fn check_added_node(cluster: &Cluster, parts: Parts) {
    let added = cluster.json(&["node", "add"]);
    assert_eq!(added["nodes"], json!(["node-3"]));
    assert_eq!(ready(cluster, "node-3"), "True");
    if parts.runtime.shares_images {
        cluster.apply(&server("node-3"));
        let address = cluster.ready_pod("on-node-3")["status"]["podIP"].as_str().expect("an address").to_owned();
        answers(cluster, "on-node-1", &address, "8080", "on-node-3");
    }
    cluster.run(&["node", "remove", "node-3"]).ok();
    cluster.kubectl(&["get", "node", "node-3"]).exits(1).says(&["not found"]);
    cluster.kubectl(&["get", "pod", "on-node-3"]).exits(1).says(&["not found"]);
    assert!(!cluster.root().join("nodes/node-3").exists());
    cluster.run(&["node", "remove", "node-3"]).exits(2).says(&["no node `node-3`", "node-0, node-1, node-2"]);
}

fn check_stopped_node(cluster: &Cluster) {
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": { "app": "moving" } },
    }]);
    let mut template = pod("moving", "sleep 3600", &json!({}));
    template["spec"]["topologySpreadConstraints"] = spread;
    let template = json!({ "metadata": template["metadata"], "spec": template["spec"] });
    let spec = json!({ "replicas": 3, "selector": { "matchLabels": { "app": "moving" } }, "template": template });
    cluster.apply(
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "moving" }, "spec": spec }),
    );
    cluster.kubectl(&["rollout", "status", "deployment/moving", "--timeout", "60s"]).ok();
    let places = || -> Vec<String> {
        let pods = cluster.get(&["pods", "-l", "app=moving", "--field-selector", "status.phase=Running"]);
        let alive = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        let all = pods["items"].as_array().expect("pods").clone();
        all.iter().filter(alive).filter_map(|pod| Some(pod["spec"]["nodeName"].as_str()?.to_owned())).collect()
    };
    assert!(places().iter().any(|node| node == "node-1"), "{:?}", places());

    cluster.run(&["node", "stop", "node-1"]).ok();
    assert_eq!((state(cluster, "node-1").as_str(), ready(cluster, "node-1").as_str()), ("stopped", "Unknown"));
    cluster.run(&["enter", "node-1", "--", "hostname"]).exits(5).says(&["node `node-1` is stopped"]);
    until("pods of node-1 elsewhere", TIMEOUT, || {
        let places = places();
        if places.len() == 3 && !places.iter().any(|node| node == "node-1") {
            Ok(())
        } else {
            Err(format!("{places:?}"))
        }
    });
    // A stopped node stays stopped.
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    assert_eq!(state(cluster, "node-1"), "stopped");
    cluster.run(&["node", "start", "node-1"]).ok();
    assert_eq!((state(cluster, "node-1").as_str(), ready(cluster, "node-1").as_str()), ("ready", "True"));
    cluster.kubectl(&["delete", "deployment", "moving"]).ok();
}

fn check_recreated_node(cluster: &Cluster) {
    cluster.kubectl(&["delete", "pod", "on-node-1", "--ignore-not-found", "--timeout", "60s"]).ok();
    cluster.apply(&server("node-1"));
    cluster.ready_pod("on-node-1");
    let restarts = || {
        let pod = cluster.get(&["pod", "on-node-1"]);
        pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default()
    };
    assert_eq!(restarts(), 0);
    // The API server was started before this node existed.
    cluster.run(&["node", "add"]).ok();
    let before = routes(cluster, "node-1");
    assert!(!before.is_empty(), "node-1 reaches no other node");
    kill_first_process(cluster, "node-1");
    until("recovered node", TIMEOUT, || {
        let state = state(cluster, "node-1");
        if state == "ready" && restarts() > 0 { Ok(()) } else { Err(format!("{state}, {} restarts", restarts())) }
    });
    cluster.ready_pod("on-node-1");
    let address = cluster.get(&["pod", "on-node-1"])["status"]["podIP"].as_str().expect("an address").to_owned();
    answers(cluster, "on-node-0", &address, "8080", "on-node-1");
    assert_eq!(routes(cluster, "node-1"), before);
    cluster.run(&["node", "remove", "node-3"]).ok();
}

/// Destination and gateway of a node's routes, as in proc_net_route(5).
fn routes(cluster: &Cluster, node: &str) -> BTreeSet<(String, String)> {
    let table = cluster.run(&["enter", node, "--", "cat", "/proc/net/route"]).ok().stdout;
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row[2] != "00000000");
    rows.map(|row| (row[1].to_owned(), row[2].to_owned())).collect()
}

/// Kills PID 1 of a node, so that the kernel kills all its processes.
fn kill_first_process(cluster: &Cluster, node: &str) {
    let namespace = cluster.run(&["enter", node, "--", "readlink", "/proc/self/ns/pid"]).ok().stdout;
    let on_node = |pid: &i32| {
        fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|ns| ns.to_string_lossy() == namespace.trim())
    };
    let is_first = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        line.is_some_and(|numbers| numbers.split_whitespace().last() == Some("1"))
    };
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let first: Vec<i32> = pids.filter(|pid| on_node(pid) && is_first(pid)).collect();
    assert_eq!(first.len(), 1, "{first:?}");
    kill(Pid::from_raw(first[0]), Signal::SIGKILL).expect("a process to end");
}

fn any_member_of_the_control_plane_can_be_lost(parts: Parts) {
    let cluster = Cluster::new("members");
    let before = Snapshot::take(&cluster.name, cluster.base());
    cluster.up(&[&["--control-planes", "3", "--nodes", "4", "--addons", "none"][..], &parts.settings()].concat()).ok();
    let lease = |name: &str| cluster.get(&["lease", name, "-n", "kube-system"])["spec"]["holderIdentity"].clone();
    for name in ["kube-controller-manager", "kube-scheduler"] {
        assert!(lease(name).as_str().is_some_and(|holder| !holder.is_empty()), "{name}");
    }
    let instances: Vec<Value> = cluster.status()["components"].as_array().expect("instances").clone();
    let count = |component: &str| instances.iter().filter(|one| one["component"] == component).count();
    assert_eq!(["etcd", "apiserver", "scheduler", "kubelet"].map(count), [3, 3, 3, 4]);

    for member in ["node-0", "node-1", "node-2"] {
        kill_first_process(&cluster, member);
        // Connections to the member end a moment later. Then the cluster works again.
        until(&format!("a write without {member}"), Duration::from_secs(20), || {
            let name = format!("without-{member}");
            let written = cluster.kubectl(&["create", "configmap", &name, "--request-timeout=5s"]);
            if written.code == 0 || written.stderr.contains("already exists") { Ok(()) } else { Err(written.stderr) }
        });
        until(&format!("{member} again"), TIMEOUT, || {
            let state = state(&cluster, member);
            if state == "ready" { Ok(()) } else { Err(state) }
        });
    }
    // A member that doesn't return.
    cluster.run(&["node", "stop", "node-0"]).ok();
    cluster.kubectl(&["create", "configmap", "with-two"]).ok();
    cluster.run(&["node", "stop", "node-1"]).exits(2).says(&[
        "1 of 3 members",
        "more than half",
        "start another first",
    ]);
    cluster.kubectl(&["create", "configmap", "with-two-still"]).ok();
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    cluster.kubectl(&["get", "configmap", "with-two", "without-node-0", "without-node-2"]).ok();
    cluster.run(&["node", "start", "node-0"]).ok();
    cluster.run(&["node", "remove", "node-1"]).exits(2).says(&["belongs to the control plane"]);
    cluster.run(&["node", "remove", "node-3"]).ok();
    cluster.run(&["stop"]).ok();
    cluster.up(&["--control-planes", "1"]).exits(2).says(&["was made with 3 control planes"]);
    let id = cluster.id();
    cluster.run(&["down"]).ok();
    let left = cluster.changes_since(&before, &id);
    assert!(left.is_empty(), "{left:#?}");
}

fn check_nodes_after_restart(cluster: &Cluster) {
    let identities = || -> Vec<(Value, Value, Value)> {
        let all = cluster.get(&["nodes"])["items"].as_array().expect("nodes").clone();
        let identity = |node: &Value| {
            (node["metadata"]["uid"].clone(), node["status"]["addresses"].clone(), node["spec"]["podCIDR"].clone())
        };
        all.iter().map(identity).collect()
    };
    let before = identities();
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    assert_eq!(identities(), before);
    let address = cluster.ready_pod("on-node-1")["status"]["podIP"].as_str().expect("an address").to_owned();
    cluster.ready_pod("on-node-0");
    answers(cluster, "on-node-0", &address, "8080", "on-node-1");
    cluster.up(&["--nodes", "2"]).exits(2);
}

/// Runs two commands at once. Returns their exit codes and the nodes afterwards, which the API has
/// to agree on.
fn at_once(cluster: &Cluster, commands: [&[&str]; 2]) -> (Vec<i32>, Vec<String>) {
    let codes = std::thread::scope(|scope| {
        let running = commands.map(|command| scope.spawn(|| cluster.run(command)));
        running.map(|one| one.join().expect("a command that ends").code)
    });
    let mut names: Vec<String> =
        nodes(cluster).iter().map(|node| node["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    let items = cluster.get(&["nodes"])["items"].as_array().expect("nodes").clone();
    let mut known: Vec<String> =
        items.iter().map(|node| node["metadata"]["name"].as_str().expect("a name").to_owned()).collect();
    known.sort();
    assert_eq!(names, known);
    assert!(nodes(cluster).iter().all(|node| node["state"] == "ready"), "{:?}", nodes(cluster));
    (codes.to_vec(), names)
}

fn concurrent_changes_run_one_after_another(_: Parts) {
    let cluster = Cluster::new("turns");
    cluster.up(&["--addons", "none", "--nodes", "3"]).ok();
    let (codes, left) = at_once(&cluster, [&["node", "remove", "node-1"], &["node", "remove", "node-2"]]);
    assert_eq!((&*codes, left.len()), (&[0, 0][..], 1), "each is made, one after the other: {left:?}");
    let (codes, more) = at_once(&cluster, [&["node", "add"], &["up", "--set", "kubelet.max-pods=44"]]);
    assert_eq!((&*codes, more.len()), (&[0, 0][..], 2), "{more:?}");
    cluster.run(&["node", "add"]).ok();
    assert_eq!(nodes(&cluster).len(), more.len() + 1);
    let shown = cluster.json(&["config", "show"]);
    let has = |key: &str, value: &str| {
        shown.as_array().expect("rows").iter().any(|row| row["key"] == key && row["value"] == value)
    };
    assert!(has("components.kubelet.max-pods", "44"), "{shown}");
}

fn invalid_node_settings_are_rejected(_: Parts) {
    let cluster = Cluster::new("no-nodes");
    let small = ["--cidr", "10.20.0.0/22", "--nodes", "3"];
    cluster.up(&small).exits(2).says(&["`10.20.0.0/22` holds 2 nodes, 3 are too many", "a larger --cidr"]);
    cluster.up(&["--nodes", "0"]).exits(2);
    cluster.up(&["--control-planes", "2"]).exits(2).says(&["give 1, 3, 5 or 7"]);
    cluster.up(&["--control-planes", "3", "--nodes", "2"]).exits(2).says(&["use --nodes 3 or more"]);
    cluster.up(&["--control-planes", "3", "--datastore", "kine"]).exits(2).says(&["only one member can write"]);
    cluster.up(&["--set", "Node_1/cri=containerd"]).exits(2).says(&["`Node_1` can't name a node"]);
    cluster.up(&["--set", "node-1/datastore=kine"]).exits(2).says(&["datastore"]);
    cluster.run(&["node", "add"]).exits(5).says(&["there is no cluster"]);
    assert!(!cluster.root().exists(), "something was created");
    let config = cluster.base().join("kubernix.toml");
    fs::write(
        &config,
        "nodes = 2\n[node.node-1.slots]\ncri = \"containerd\"\n[node.node-1.components.kubelet]\nlabels = \"a=b\"\n",
    )
    .expect("a file");
    let plan = run(kubernix().args(["plan", "--output", "json", "--config"]).arg(&config)).ok().json();
    let instances: Vec<String> = plan["instances"]
        .as_array()
        .expect("instances")
        .iter()
        .filter_map(|one| Some(one["instance"].as_str()?.to_owned()))
        .collect();
    for wanted in ["CRI-O (node 0)", "containerd (node 1)", "kubelet (node 0)", "kubelet (node 1)"] {
        assert!(instances.iter().any(|name| name == wanted), "{wanted} is not in {instances:?}");
    }
    fs::write(&config, "[node.node-1.slot]\ncri = \"containerd\"\n").expect("a file");
    let wrong = run(kubernix().args(["plan", "--config"]).arg(&config)).exits(2);
    wrong.says(&["unknown key `slot` of a node", "slots"]);
}
