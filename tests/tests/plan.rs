//! What `kubernix plan` prints, whole, for each topology. Needs no root and no binaries, and changes nothing.

use kubernix_tests::{golden, kubernix, run};
use serde_json::Value;

/// A directory for clusters that exists nowhere.
const ROOT: &str = "/clusters";

/// The plan with these settings, as JSON.
fn plan(settings: &[&str]) -> Value {
    // Nothing of it may depend on whose machine this is.
    let mut command = kubernix();
    command.args(["plan", "--output", "json", "--root", ROOT, "--cache-dir", "/cache"]).args(settings);
    run(&mut command).ok().json()
}

/// Texts of several lines as lists of them, so that a difference is found at a glance.
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
fn the_default() {
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
fn a_binary_of_ones_own() {
    check("own-binary.json", &["--set", "etcd.binary=/opt/etcd/bin/etcd"]);
}

#[test]
fn the_same_settings_give_the_same_plan_and_nothing_is_made() {
    assert_eq!(plan(&[]), plan(&[]));
    assert!(!std::path::Path::new(ROOT).exists(), "{ROOT} was made");
}
