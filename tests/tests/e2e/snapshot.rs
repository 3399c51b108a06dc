//! Tests snapshots of clusters, and changes of a running cluster by the flags of `up`.

use flate2::read::GzDecoder;
use flate2::{Compression, write::GzEncoder};
use kubernix_tests::{
    Cluster, Lane, NO_ADDONS, Parts, SHARED, Test, alive, checks, each, kubernix, oci_archive, once, pod, program, run,
    token, until,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_datastores = checks![a_snapshot_of_a_running_cluster_is_restored_as_another_one];
    let of_any = checks![flags_change_a_running_cluster_and_fresh_recreates_it];
    [each(Lane::shared(2, 4), &Parts::datastores(), &of_datastores), once(SHARED, &of_any)].concat()
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    names.sort();
    names
}

/// The identity of a cluster, independent of its name.
fn identity(cluster: &Cluster) -> Value {
    let (config, secret) = (cluster.get(&["configmap", "kept"]), cluster.get(&["secret", "kept"]));
    let node = cluster.get(&["node", "node-0"]);
    let addresses = node["status"]["addresses"].as_array().cloned().unwrap_or_default();
    let address = addresses.iter().find(|address| address["type"] == "InternalIP").cloned();
    json!([config["metadata"]["uid"], config["data"], secret["data"], node["metadata"]["uid"], address])
}

/// Saves a cluster while objects are created one after the other. Returns the output of `save`, the
/// number of objects before it, and the total.
fn save_during_writes(cluster: &Cluster, file: &Path) -> (Value, usize, usize) {
    let (written, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::SeqCst) {
                let name = format!("w-{}", written.load(Ordering::SeqCst));
                cluster.kubectl(&["create", "configmap", &name]).ok();
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        let more = |than: usize| {
            until("objects", TIMEOUT, || match written.load(Ordering::SeqCst) {
                count if count > than => Ok(count),
                count => Err(count.to_string()),
            })
        };
        let before = more(1);
        let saved = cluster.run(&["--output", "json", "snapshot", "save", &file.to_string_lossy()]);
        let all = more(written.load(Ordering::SeqCst));
        enough.store(true, Ordering::SeqCst);
        (saved.ok().json(), before, all)
    })
}

/// The numbers of these objects in a cluster.
fn numbers(cluster: &Cluster) -> Vec<usize> {
    let all = cluster.get(&["configmaps"]);
    let names = all["items"].as_array().expect("a list").iter().filter_map(|one| one["metadata"]["name"].as_str());
    let mut numbers: Vec<usize> = names.filter_map(|name| name.strip_prefix("w-")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

fn a_snapshot_of_a_running_cluster_is_restored_as_another_one(parts: Parts) {
    let [one, two] = ["saved", "copy"].map(Cluster::new);
    // The snapshot has the nodes as well: two of them, except for the default parts, whose cluster
    // is already booted.
    let nodes = if parts == Parts::default() { "1" } else { "2" };
    one.up(&[&NO_ADDONS[..], &["--nodes", nodes], &parts.settings()].concat()).ok();
    let image = oci_archive(one.base());
    one.run(&["image", "load", &image.to_string_lossy()]).ok();
    one.kubectl(&["create", "configmap", "kept", "--from-literal=answer=42"]).ok();
    one.kubectl(&["create", "secret", "generic", "kept", "--from-literal=word=secret"]).ok();
    one.apply(&pod("main", "sleep 3600", &json!({})));
    alive(&one, "main");
    let (before, minted, api) = (identity(&one), token::mint(&one), one.status()["api"].clone());

    let file = one.base().join("one.tar.gz");
    let (saved, known, all) = save_during_writes(&one, &file);
    assert_eq!((&saved["cluster"], &saved["datastore"]["component"]), (&json!(one.name), &json!(parts.datastore.name)));
    assert!(saved["paused_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{saved}");
    println!("{}: the datastore was paused for {} ms, {} bytes", parts.label(), saved["paused_ms"], saved["size"]);
    assert_eq!(fs::metadata(&file).expect("a snapshot").permissions().mode() & 0o7777, 0o600);
    assert!(!one.root().join("run/snapshot").exists(), "the cluster's directory has no temporary files");
    one.kubectl(&["create", "configmap", "later"]).ok();

    if parts == Parts::default() {
        reject_invalid_snapshots(&file, &one);
    }

    // Restored under another name beside the running cluster.
    let file = file.to_string_lossy();
    two.run(&["snapshot", "restore", &file]).ok().says(&["is created from", &one.name]);
    assert_eq!(identity(&two), before);
    assert_eq!(two.json(&["node", "list"]), one.json(&["node", "list"]));
    assert_eq!(token::owner(&two, &minted).as_deref(), Some("system:serviceaccount:default:default"));
    two.kubectl(&["get", "configmap", "later"]).exits(1).says(&["not found"]);
    // The objects written before the snapshot are there without a gap.
    let there = numbers(&two);
    assert_eq!(there, (0..there.len()).collect::<Vec<_>>());
    // Inclusive: an object is in the datastore before the command that created it returns and is
    // counted.
    assert!((known..=all).contains(&there.len()), "{} of {known} to {all}", there.len());
    // A snapshot has no images: the pod runs once its image is loaded.
    two.run(&["image", "load", &image.to_string_lossy()]).ok();
    alive(&two, "main");
    let ca = |cluster: &Cluster| fs::read(cluster.root().join("pki/ca.crt")).expect("a CA");
    assert_eq!(ca(&two), ca(&one));
    one.kubectl(&["get", "configmap", "later"]).ok();
    assert_eq!(one.status()["api"], api);
    if parts == Parts::default() {
        restore_a_stopped_copy_as_the_original(&one, &two, &before, &ca(&one));
    }
}

/// Saves a stopped cluster, and restores a destroyed one under its name.
fn restore_a_stopped_copy_as_the_original(one: &Cluster, two: &Cluster, before: &Value, ca: &[u8]) {
    two.run(&["stop"]).ok();
    let saved = two.json(&["snapshot", "save"]);
    assert_eq!((&saved["paused_ms"], &saved["authority"]), (&Value::Null, &json!(one.name)));
    let file = saved["path"].as_str().expect("a path").to_owned();
    let listed = two.json(&["snapshot", "list"]);
    assert_eq!(
        (&listed[0]["path"], &listed[0]["cluster"], &listed[0]["problem"]),
        (&json!(file), &json!(two.name), &Value::Null)
    );
    let here = ["snapshot", "restore", &file, "--no-up"];
    one.run(&here).exits(2).says(&["there is a cluster", &one.name, "--name", "down"]);
    two.run(&here).exits(2).says(&["there is a cluster", &two.name]);
    one.run(&["down"]).ok();
    one.run(&here).ok().prints(&["up", &one.name]);
    assert_eq!(one.status()["state"], "stopped");
    one.run(&["snapshot", "save"]).exits(5).says(&["was never booted"]);
    let outcome = one.up(&[]).ok();
    assert!(!outcome.stderr.contains("created again"), "{}", outcome.stderr);
    assert_eq!(identity(one), *before);
    assert_eq!(fs::read(one.root().join("pki/ca.crt")).expect("a CA"), ca);
}

/// Runs a command that has to fail and leave nothing.
#[track_caller]
fn refused(cluster: &Cluster, args: &[&str], code: i32, parts: &[&str]) {
    let before = names(cluster.base());
    cluster.run(args).exits(code).says(parts);
    assert_eq!(names(cluster.base()), before);
}

fn reject_invalid_snapshots(file: &Path, one: &Cluster) {
    let other = Cluster::new("refused");
    let (bytes, bad) = (fs::read(file).expect("a snapshot"), one.base().join("bad.tar.gz"));
    let mut plain = Vec::new();
    GzDecoder::new(&*bytes).read_to_end(&mut plain).expect("a compressed file");
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = plain.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
        let mut changed = plain.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        let mut stream = GzEncoder::new(Vec::new(), Compression::fast());
        stream.write_all(&changed).expect("a stream");
        stream.finish().expect("a compressed file")
    };
    let file = bad.to_string_lossy();
    for (bytes, part) in [
        (bytes[..bytes.len() / 2].to_vec(), "is damaged"),
        (changed("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEX-----"), "has a wrong hash"),
        (changed("\"format\": 1", "\"format\": 7"), "in format 7, this version supports 1"),
        (b"not a snapshot".to_vec(), "is not a snapshot of a cluster"),
    ] {
        fs::write(&bad, bytes).expect("a file");
        refused(&other, &["snapshot", "restore", &file], 2, &[part]);
    }
    let rows = one.json(&["snapshot", "list", &one.base().to_string_lossy()]);
    let problems: Vec<bool> = rows.as_array().expect("rows").iter().map(|row| row["problem"].is_string()).collect();
    assert_eq!(problems, [true, false], "{rows}");
    let nowhere = other.base().join("nowhere");
    let nowhere = nowhere.to_string_lossy();
    refused(&other, &["snapshot", "restore", &nowhere], 2, &[&nowhere, "No such file"]);
    refused(&other, &["snapshot", "list", &nowhere], 2, &[&nowhere, "No such file"]);
    let good = one.base().join("one.tar.gz");
    let good = good.to_string_lossy();
    refused(&other, &["snapshot", "restore", &good, "--cri", "cryo"], 2, &["did you mean `crio`?"]);
    refused(&other, &["snapshot", "restore", &good, "--datastore", "kine"], 2, &["are in `etcd`", "`kine` can't read"]);
    refused(&other, &["snapshot", "restore", &good, "--cidr", "10.98.0.0/16"], 2, &["--cidr", "10.98.0.0/16"]);
    refused(&other, &["snapshot", "save"], 5, &["there is no cluster"]);
    // An existing file that isn't a snapshot isn't replaced.
    fs::write(&bad, "precious").expect("a file");
    refused(one, &["snapshot", "save", &file], 2, &["is not a snapshot, so it is not replaced"]);
    assert_eq!(fs::read_to_string(&bad).expect("a file"), "precious");
    fs::remove_file(&bad).expect("it was there");
    let inside = format!("{nowhere}/x.tar.gz");
    refused(one, &["snapshot", "save", &inside], 1, &[&format!("can't write `{inside}`")]);
    check_full_disks(one, &other, &good);
}

/// A full disk leaves neither a partial snapshot nor a partial cluster.
fn check_full_disks(one: &Cluster, other: &Cluster, good: &str) {
    let place = other.base().join("small");
    fs::create_dir(&place).expect("a directory");
    let small = place.to_string_lossy();
    let on_it = |size: &str, name: &str, root: &Path, args: &[&str]| {
        let text = format!(
            "mount -t tmpfs -o size={size} tmpfs '{small}' || exit 99\n\"$@\"\ncode=$?\nls -A '{small}'\nexit $code"
        );
        let mut shell = program("unshare");
        shell.args(["--mount", "/bin/sh", "-c", &text, "sh"]).arg(kubernix().get_program());
        shell.args(["--name", name, "--root"]).arg(root).args(args);
        run(shell.current_dir("/").env("XDG_CONFIG_HOME", "/proc/nowhere"))
    };
    let saved = on_it("64k", &one.name, one.base(), &["snapshot", "save", &format!("{small}/x.tar.gz")]);
    assert_eq!(saved.exits(1).says(&["No space left on device"]).stdout, "");
    let restored = on_it("1m", &other.name, &place, &["snapshot", "restore", good]);
    assert_eq!(restored.exits(1).says(&["MiB free", "--root"]).stdout, "");
    fs::remove_dir(place).expect("an empty directory");
}

/// The main process of every component.
fn pids(cluster: &Cluster) -> BTreeMap<String, Value> {
    let status = cluster.wait_until_running();
    let components = status["components"].as_array().cloned().unwrap_or_default();
    components
        .iter()
        .map(|one| (one["component"].as_str().unwrap_or_default().to_owned(), one["pids"].clone()))
        .collect()
}

/// The components with new processes.
fn restarted(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    after.iter().filter(|(name, pids)| before.get(*name) != Some(*pids)).map(|(name, _)| name.clone()).collect()
}

/// Waits until a node has this pod capacity.
fn wait_for_pod_capacity(cluster: &Cluster, most: &str) {
    until("node with that capacity", TIMEOUT, || {
        let node = cluster.get(&["node", "node-0"]);
        if node["status"]["capacity"]["pods"] == most { Ok(()) } else { Err(node["status"]["capacity"].to_string()) }
    });
}

fn flags_change_a_running_cluster_and_fresh_recreates_it(parts: Parts) {
    let cluster = Cluster::new("again");
    let settings = [&["--set", "kubelet.max-pods=50", "--addons", "none"][..], &parts.settings()].concat();
    let boot = cluster.start_up(&settings);
    // Two at once: the second one fails without effect.
    boot.wait_for_event(r#""instance":"sandbox""#);
    cluster.up(&settings).exits(4).says(&["runs already", &cluster.name]);
    cluster.up(&["--set", "kubelet.max-pods=60"]).exits(4).says(&["another `kubernix up` is at work"]);
    boot.wait().ok();
    wait_for_pod_capacity(&cluster, "50");

    // Settings without a flag are kept, and invalid ones are still errors.
    cluster.up(&[]).exits(4).says(&["runs already"]);
    cluster.up(&settings).exits(4).says(&["runs already"]);
    let before = pids(&cluster);
    let changed = cluster.json(&["up", "--set", "kubelet.max-pods=60"]);
    assert_eq!(changed["changed"], json!(["kubelet (node 0)"]), "{changed}");
    let after = pids(&cluster);
    assert_eq!(restarted(&before, &after), ["kubelet"]);
    wait_for_pod_capacity(&cluster, "60");
    cluster.up(&["--set", "kubelet.max-pods=60"]).exits(4).says(&["runs already"]);
    // The port that it has already isn't a change.
    let api = changed["api"].as_str().expect("a URL");
    let port = api.rsplit(':').next().expect("a port");
    cluster.up(&["--port", port]).exits(4).says(&["runs already"]);
    // Settings that only a boot can change are rejected before any other change.
    let parts = ["`port` is", "can't become `7999`", "stop", "`uplink`"];
    cluster.up(&["--port", "7999", "--uplink", "none", "--set", "kubelet.max-pods=70"]).exits(4).says(&parts);
    cluster.up(&["--cidr", "10.99.0.0/16"]).exits(2).says(&["10.99.0.0/16", "--cidr"]);
    cluster.up(&["--set", "kubelet.max-podss=70"]).exits(2).says(&["did you mean `max-pods`?"]);
    assert_eq!(restarted(&after, &pids(&cluster)), [""; 0]);

    // `--fresh` keeps the settings except for those given, and no data.
    cluster.kubectl(&["create", "configmap", "old"]).ok();
    cluster.up(&["--fresh", "--cri", "cryo"]).exits(2).says(&["did you mean `crio`?"]);
    cluster.kubectl(&["get", "configmap", "old"]).ok();
    cluster.up(&["--fresh", "--cidr", "10.99.0.0/16"]).ok();
    cluster.kubectl(&["get", "configmap", "old"]).exits(1).says(&["not found"]);
    assert_eq!(cluster.get(&["node", "node-0"])["spec"]["podCIDR"], "10.99.0.0/24");
    wait_for_pod_capacity(&cluster, "60");

    cluster.kubectl(&["create", "configmap", "old"]).ok();
    cluster.run(&["stop"]).ok();
    cluster.up(&["--fresh"]).ok();
    cluster.kubectl(&["get", "configmap", "old"]).exits(1).says(&["not found"]);
    assert_eq!(cluster.get(&["node", "node-0"])["spec"]["podCIDR"], "10.99.0.0/24");
}
