//! Compares the output of `kubernix plan` with a golden for each topology. Needs neither root nor
//! binaries.

use kubernix_tests::{DATASTORES, RUNTIMES, Runtime, golden, kubernix, run};
use serde_json::Value;

/// A directory for clusters that doesn't exist.
const ROOT: &str = "/clusters";

/// The plan with these settings, as JSON.
fn plan(settings: &[&str]) -> Value {
    // The output must not depend on the machine.
    let mut command = kubernix();
    command.args(["plan", "--output", "json", "--root", ROOT, "--cache-dir", "/cache"]).args(settings);
    run(&mut command).ok().json()
}

/// Splits texts of several lines into lists of lines, for readable differences.
fn by_line(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\n') => text.split('\n').map(Value::from).collect(),
        Value::Array(items) => items.into_iter().map(by_line).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, by_line(value))).collect(),
        other => other,
    }
}

fn check(name: &str, settings: &[&str]) {
    let text = serde_json::to_string_pretty(&by_line(plan(settings))).expect("JSON");
    golden::compare(name, &(text + "\n"));
}

#[test]
fn default_settings() {
    check("default.json", &[]);
}

#[test]
fn without_a_proxy() {
    check("no-proxy.json", &["--set", "proxy=none"]);
}

#[test]
fn another_name_and_cidr() {
    check("name-and-cidr.json", &["--name", "other", "--cidr", "192.168.128.0/20"]);
}

#[test]
fn nodes_in_containers() {
    check("placement-podman.json", &["--placement", "podman"]);
}

#[test]
fn a_binary_given_by_path() {
    check("own-binary.json", &["--set", "etcd.binary=/opt/etcd/bin/etcd"]);
}

#[test]
fn every_other_runtime() {
    for runtime in &RUNTIMES[1..] {
        check(&format!("cri-{}.json", runtime.name), &["--cri", runtime.name]);
    }
}

#[test]
fn every_other_datastore() {
    for datastore in &DATASTORES[1..] {
        check(&format!("datastore-{}.json", datastore.name), &["--datastore", datastore.name]);
    }
}

/// The configuration of a runtime's pod network, without the directory of leases, which differs.
fn network(runtime: &Runtime) -> Value {
    let plan = plan(&["--cri", runtime.name]);
    let instances = plan["instances"].as_array().expect("instances");
    let files = instances.iter().filter_map(|instance| instance["plan"]["files"].as_array()).flatten();
    let is_network = |file: &&Value| file["path"].as_str().is_some_and(|path| path.ends_with(".conflist"));
    let text = files.filter(is_network).map(|file| file["content"].as_str().expect("a text")).collect::<String>();
    let mut network: Value = serde_json::from_str(&text).expect("one network");
    let leases = network["plugins"][0]["ipam"]["dataDir"].take();
    assert_eq!(leases, format!("/run/kubernix/node-0/{}/ipam", runtime.name));
    // Some runtimes implement host ports themselves, others use a plugin.
    network["plugins"].as_array_mut().expect("plugins").retain(|plugin| plugin["type"] != "portmap");
    network
}

#[test]
fn pods_have_the_same_network_under_every_runtime() {
    for runtime in RUNTIMES.iter() {
        assert_eq!(network(runtime), network(&RUNTIMES[0]));
    }
}

#[test]
fn plan_is_deterministic_and_creates_no_files() {
    assert_eq!(plan(&[]), plan(&[]));
    assert!(!std::path::Path::new(ROOT).exists(), "{ROOT} was created");
}
