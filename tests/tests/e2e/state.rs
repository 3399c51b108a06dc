//! Tests the state of a cluster after a stop, a crash and a restart.

use kubernix_tests::{
    Cluster, EXCLUSIVE, IMAGE, Outcome, Parts, SHARED, Test, alive, checks, each, golden, oci_archive, once,
    processes_of, run, token, until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const TIMEOUT: Duration = Duration::from_secs(60);
/// The pod of the Deployment, in kubectl's form.
const POD: &str = "deployment/kept";
/// The addons of clusters with volumes.
const STORAGE: [&str; 2] = ["--addons", "coredns,local-path"];
/// The label of RBAC's bootstrap policy.
const POLICY_SELECTOR: &str = "kubernetes.io/bootstrapping=rbac-defaults";

pub fn tests() -> Vec<Test> {
    let each_kept = checks![
        stop_and_up_keep_objects_images_and_certificates,
        a_crash_keeps_objects_images_certificates_and_volumes,
    ];
    let of_runtimes = checks![edited_files_are_kept_and_reported];
    let of_any = checks![
        saved_settings_are_kept_and_changes_reported,
        lost_keys_are_reported_and_renewed_on_request,
        leaving_a_shell_stops_or_destroys_its_cluster,
    ];
    [each(SHARED, &Parts::all(), &each_kept), each(SHARED, &Parts::runtimes(), &of_runtimes), once(SHARED, &of_any)]
        .concat()
}

/// Exclusive, because on a busy machine the time limit for the policy ends before it is complete,
/// and the API server creates the rest.
pub fn exclusive_tests() -> Vec<Test> {
    once(EXCLUSIVE, &checks![the_seeded_policy_equals_that_of_the_api_server])
}

/// The user of the tokens.
const ACCOUNT: &str = "system:serviceaccount:default:default";

/// Creates a Deployment of one pod and a ConfigMap.
fn create_objects(cluster: &Cluster) {
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

/// The objects and files that have to be the same after a restart.
fn saved_state(cluster: &Cluster) -> (Value, Value, BTreeMap<PathBuf, Vec<u8>>) {
    let config = cluster.get(&["configmap", "kept"]);
    let node = cluster.get(&["node", "node-0"]);
    let addresses = node["status"]["addresses"].as_array().cloned().unwrap_or_default();
    let address = addresses.iter().find(|address| address["type"] == "InternalIP").cloned();
    let identity = json!([config["metadata"]["uid"], config["data"], node["metadata"]["uid"], address]);
    let files = certificates(cluster);
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

/// Compares them, and names differing files without their bytes.
fn same(cluster: &Cluster, before: &(Value, Value, BTreeMap<PathBuf, Vec<u8>>)) {
    let after = saved_state(cluster);
    assert_eq!(before.0, after.0, "objects");
    assert_eq!(before.1, after.1, "images");
    let changed: Vec<_> = before.2.iter().filter(|(path, bytes)| after.2.get(*path) != Some(bytes)).collect();
    assert!(changed.is_empty(), "changed: {:?}", changed.iter().map(|(path, _)| path).collect::<Vec<_>>());
    assert!(before.2.len() == after.2.len(), "files were added to pki/");
}

fn stop_and_up_keep_objects_images_and_certificates(parts: Parts) {
    let cluster = Cluster::boot_of("stop", parts);
    create_objects(&cluster);
    let (before, minted) = (saved_state(&cluster), token::mint(&cluster));
    cluster.run(&["stop"]).ok();
    assert_eq!(cluster.status()["state"], "stopped");
    cluster.kubectl(&["get", "nodes"]).exits(5).says(&["is stopped", "kubernix up"]);
    cluster.run(&["stop"]).exits(5).says(&["is stopped"]);
    cluster.up(&[]).ok();
    same(&cluster, &before);
    assert_eq!(token::owner(&cluster, &minted).as_deref(), Some(ACCOUNT));
    alive(&cluster, POD);
}

/// As after a crash of the machine: all processes end at once, `/run` is empty, and no process
/// cleaned up.
fn a_crash_keeps_objects_images_certificates_and_volumes(parts: Parts) {
    let cluster = Cluster::new("killed");
    cluster.up(&[&STORAGE[..], &parts.settings()].concat()).ok();
    create_objects(&cluster);
    let wrote = with_volume(&cluster);
    let (before, minted) = (saved_state(&cluster), token::mint(&cluster));
    let (keeper, init) = cluster.keeper_and_init();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    for process in [keeper, init] {
        kill(process, Signal::SIGKILL).expect("it runs");
    }
    kubernix_tests::for_none("end of all processes", TIMEOUT, || {
        all.iter().filter(|process| process.is_alive()).map(|process| process.command.clone()).collect()
    });
    assert_eq!(cluster.status()["state"], "stopped");
    cluster.up(&[]).ok();
    same(&cluster, &before);
    assert_eq!(token::owner(&cluster, &minted).as_deref(), Some(ACCOUNT));
    alive(&cluster, POD);
    alive(&cluster, "writer");
    assert_eq!(read_volume(&cluster).ok().stdout, wrote, "the volume is another, or its file was written again");
}

/// Creates a pod that writes a file into its volume, unless it exists. Returns its content.
fn with_volume(cluster: &Cluster) -> String {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } },
    });
    let container = json!({
        "name": "main", "image": IMAGE, "imagePullPolicy": "Never",
        "command": ["sh", "-c", "[ -e /data/x ] || cat /proc/sys/kernel/random/uuid > /data/x; sleep 3600"],
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
    });
    let volumes = json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
    let writer = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "writer" },
        "spec": { "containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0 },
    });
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [claim, writer] }));
    alive(cluster, "writer");
    until("file in the volume", TIMEOUT, || {
        let found = read_volume(cluster);
        if found.stdout.is_empty() { Err(found.stderr) } else { Ok(found.stdout) }
    })
}

fn read_volume(cluster: &Cluster) -> Outcome {
    cluster.kubectl(&["exec", "writer", "--", "cat", "/data/x"])
}

fn edited_files_are_kept_and_reported(parts: Parts) {
    let cluster = Cluster::boot_of("edited", parts);
    cluster.run(&["stop"]).ok();
    let conf = cluster.root().join("nodes/node-0").join(parts.runtime.name).join(parts.runtime.config);
    let edited = fs::read_to_string(&conf).expect("a configuration") + "\n# edited by a user\n";
    fs::write(&conf, &edited).expect("it can be written");
    cluster.up(&[]).ok().says(&[&format!("{} was edited and is left as it is", parts.runtime.config)]);
    assert_eq!(fs::read_to_string(&conf).expect("a configuration"), edited);
}

fn saved_settings_are_kept_and_changes_reported(_: Parts) {
    let cluster = Cluster::new("settings");
    cluster.up(&["--cidr", "10.77.0.0/16", "--proxy", "proxy", "--addons", "none"]).ok();
    cluster.up(&[]).exits(4).says(&["runs already", &cluster.name]);
    let pod_cidr = cluster.get(&["node", "node-0"])["spec"]["podCIDR"].clone();
    assert_eq!(pod_cidr, "10.77.0.0/24");
    cluster.run(&["stop"]).ok();
    cluster.up(&["--cidr", "10.78.0.0/16"]).exits(2).says(&["10.77.0.0/16", "10.78.0.0/16", "--cidr"]);
    let expected = ["slots.proxy: `none` (--set proxy) replaces `proxy`", "kubernix.toml"];
    cluster.up(&["--set", "proxy=none"]).ok().says(&expected);
    assert_eq!(cluster.get(&["node", "node-0"])["spec"]["podCIDR"], pod_cidr);
    // The setting is saved.
    cluster.run(&["stop"]).ok();
    let (soon, old) = (let_admin_certificate_expire_soon(&cluster), certificates(&cluster));
    cluster.up(&[]).ok().says(&[&format!("created again: admin: it is valid until {soon} only")]);
    let new = certificates(&cluster);
    let renewed: Vec<_> =
        new.iter().filter(|(path, bytes)| old.get(*path) != Some(*bytes)).map(|(path, _)| path).collect();
    assert_eq!(
        renewed,
        ["admin.crt", "admin.key"].map(|name| cluster.root().join("pki").join(name)).iter().collect::<Vec<_>>()
    );
    let components = cluster.wait_until_running()["components"].to_string();
    assert!(!components.contains("\"proxy\""), "{components}");
}

/// Gives a stopped cluster's admin a valid certificate that expires in ten days. Returns the day.
fn let_admin_certificate_expire_soon(cluster: &Cluster) -> String {
    let pki = cluster.root().join("pki");
    let read = |name: &str| fs::read_to_string(pki.join(name)).expect("a file of the PKI");
    let ca_key = KeyPair::from_pem(&read("ca.key")).expect("a key");
    let ca = Issuer::from_ca_cert_pem(&read("ca.crt"), ca_key).expect("a CA");
    let day = Duration::from_secs(24 * 60 * 60);
    let mut params = CertificateParams::default();
    params.not_before = (SystemTime::now() - day).into();
    params.not_after = (SystemTime::now() + 10 * day).into();
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.distinguished_name.push(DnType::CommonName, "kubernetes-admin");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (until, key) = (params.not_after.date().to_string(), KeyPair::generate().expect("a key"));
    let certificate = params.signed_by(&key, &ca).expect("a certificate");
    fs::write(pki.join("admin.crt"), certificate.pem()).expect("it can be written");
    fs::write(pki.join("admin.key"), key.serialize_pem()).expect("it can be written");
    until
}

fn lost_keys_are_reported_and_renewed_on_request(_: Parts) {
    let cluster = Cluster::new("keys");
    // With cluster DNS: its pod reaches the API only with the current CA.
    let first = cluster.up(&["--addons", "coredns"]).ok();
    assert!(!first.stderr.contains("created again"), "{}", first.stderr);
    cluster.kubectl(&["create", "secret", "generic", "kept", "--from-literal=answer=42"]).ok();
    let value = || cluster.kubectl(&["get", "secret", "kept", "-o", "jsonpath={.data.answer}"]);
    cluster.up(&["--renew", "ca"]).exits(4).says(&["its keys can't be created again", "stop"]);
    cluster.run(&["stop"]).ok();
    let pki = cluster.root().join("pki");
    let cases = [
        ("encryption.yaml", "encryption", "Secrets"),
        ("service-account.key", "service-account", "tokens"),
        ("ca.key", "ca", "kubeconfigs"),
        ("etcd-ca.crt", "ca", "kubeconfigs"),
    ];
    let before = certificates(&cluster);
    for (name, renewal, loss) in cases {
        let whole = fs::read(pki.join(name)).expect("a key");
        for damaged in [None, Some(""), Some("garbage")] {
            match damaged {
                None => fs::remove_file(pki.join(name)).expect("it can be removed"),
                Some(text) => fs::write(pki.join(name), text).expect("it can be written"),
            }
            cluster.up(&[]).exits(1).says(&[name, &format!("up --renew {renewal}"), loss]);
            assert_eq!(cluster.status()["state"], "stopped");
        }
        fs::write(pki.join(name), whole).expect("it can be written");
    }
    assert_eq!(certificates(&cluster), before);
    // Nothing was lost by these boots or by a second key.
    let renewed = ["--renew", "encryption", "--renew", "ca", "--renew", "service-account"];
    cluster.up(&renewed).ok().says(&[
        "created again: encryption: ",
        "created again: service-account: ",
        "created again: etcd-ca: ",
    ]);
    value().ok().prints(&["NDI="]);
    // Without Secrets that need the old key, a lost key can be renewed.
    cluster.kubectl(&["delete", "secret", "kept"]).ok();
    cluster.run(&["stop"]).ok();
    fs::remove_file(pki.join("encryption.yaml")).expect("it can be removed");
    cluster.up(&["--renew", "encryption"]).ok().says(&["created again: encryption: it is missing"]);
    cluster.kubectl(&["create", "secret", "generic", "new", "--from-literal=answer=43"]).ok();
    // A fresh cluster reports nothing.
    let fresh = cluster.up(&["--fresh"]).ok();
    assert!(!fresh.stderr.contains("created again"), "{}", fresh.stderr);
}

fn certificates(cluster: &Cluster) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    read_all(&cluster.root().join("pki"), &mut files);
    files
}

fn leaving_a_shell_stops_or_destroys_its_cluster(_: Parts) {
    let session = |cluster: &Cluster| run(cluster.command(&["--addons", "none"]).env("SHELL", "/bin/true")).ok();
    let own = Cluster::new("session");
    session(&own).says(&["leave this shell to destroy it", "is destroyed"]);
    assert!(!own.root().exists());

    let existing = Cluster::boot("session");
    existing.kubectl(&["create", "configmap", "kept"]).ok();
    existing.run(&["stop"]).ok();
    session(&existing).says(&["leave this shell to stop it", "is stopped"]);
    existing.up(&[]).ok();
    existing.kubectl(&["get", "configmap", "kept"]).ok();
}

/// RBAC's bootstrap policy without fields that differ between clusters, and without rules that a
/// controller adds to aggregated roles.
fn policy(cluster: &Cluster) -> Vec<Value> {
    let mut objects = Vec::new();
    for kind in ["clusterroles", "clusterrolebindings", "roles", "rolebindings"] {
        let found = cluster.get(&[kind, "--all-namespaces", "--selector", POLICY_SELECTOR, "--show-managed-fields"]);
        for object in found["items"].as_array().expect("a list") {
            let mut object = object.clone();
            for own in ["creationTimestamp", "resourceVersion", "uid"] {
                object["metadata"].as_object_mut().expect("metadata").remove(own);
            }
            let managed = object["metadata"]["managedFields"].as_array_mut().expect("a list");
            managed.retain(|entry| entry["manager"] == "kube-apiserver");
            managed[0].as_object_mut().expect("an entry").remove("time");
            if object.get("aggregationRule").is_some() {
                object["rules"] = Value::Null;
            }
            objects.push(object);
        }
    }
    objects
}

/// Whether the API server created them: it reads a role before it creates it.
fn created_roles_itself(cluster: &Cluster) -> bool {
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]).ok().stdout;
    let of_roles = metrics.lines().filter(|line| {
        let asked = ["apiserver_request_total{", r#"resource="clusterroles""#, r#"verb="GET""#];
        asked.iter().all(|part| line.contains(part))
    });
    let of_roles: Vec<_> = of_roles.collect();
    assert!(!of_roles.is_empty(), "no request for roles is counted");
    of_roles.iter().any(|line| line.contains(r#"code="404""#))
}

/// The host seeds the bootstrap policy of a fresh cluster from a file: a line for the API server's
/// version, and one for each object. If the policy is deleted, the API server creates it itself.
fn the_seeded_policy_equals_that_of_the_api_server(_: Parts) {
    let cluster = Cluster::new("policy");
    cluster.up(&["--addons", "none"]).ok();
    let made = policy(&cluster);
    assert!(!created_roles_itself(&cluster));

    let of_all = ["delete", "clusterroles,clusterrolebindings", "--wait=false", "--selector", POLICY_SELECTOR];
    cluster.kubectl(&of_all).ok();
    cluster.kubectl(&["delete", "roles,rolebindings", "--selector", POLICY_SELECTOR, "--all-namespaces"]).ok();
    let status = cluster.wait_until_running();
    let components = status["components"].as_array().expect("components");
    let server = components.iter().find(|one| one["instance"] == "apiserver").expect("an API server");
    let pid = server["pids"][0].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("its process");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
    let own = until("the API server's own policy", TIMEOUT, || {
        let made = cluster.kubectl(&["get", "--raw", "/readyz/poststarthook/rbac/bootstrap-roles"]);
        if made.code == 0 { Ok(policy(&cluster)) } else { Err(made.stderr) }
    });
    assert!(created_roles_itself(&cluster));
    for (made, own) in made.iter().zip(&own) {
        assert_eq!(made, own);
    }
    assert_eq!(made.len(), own.len());
    let version = cluster.kubectl(&["get", "--raw", "/version"]).ok().json()["gitVersion"].clone();
    let mut file = json!({ "gitVersion": version }).to_string() + "\n";
    for mut object in own {
        object["metadata"].as_object_mut().expect("metadata").remove("managedFields");
        file += &format!("{object}\n");
    }
    golden::compare("../../toolchain/kubernetes/bootstrap-policy.jsonl", &file);
}
