//! Tests addons: cluster DNS, metrics, volumes, and the user's own manifests. They are added, kept
//! over a stop, and removed.

use kubernix_tests::{Cluster, IMAGE, Parts, SHARED, Test, checks, each, oci_archive, once, until};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![pods_resolve_names_of_services_and_pods, volumes_and_metrics_follow_their_addons,];
    let of_any = checks![a_directory_of_manifests_is_an_addon, boot_with_wait_node_starts_addons_later,];
    [each(SHARED, &Parts::runtimes(), &of_runtimes), once(SHARED, &of_any)].concat()
}

/// A pod of the test image that runs a command. `extra` has further fields of its spec.
fn pod(name: &str, labels: &Value, command: &str, extra: &Value) -> Value {
    let container =
        json!({ "name": "c", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", command] });
    let mut spec = json!({ "containers": [container], "terminationGracePeriodSeconds": 0 });
    for (key, value) in extra.as_object().expect("a table") {
        match key.as_str() {
            "volumeMounts" => spec["containers"][0][key] = value.clone(),
            _ => spec[key] = value.clone(),
        }
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": labels }, "spec": spec })
}

fn list(items: &[Value]) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// The output of nslookup for a name in a pod.
fn looked_up(cluster: &Cluster, pod: &str, name: &str) -> String {
    let outcome = cluster.kubectl(&["exec", pod, "--", "nslookup", name]);
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// The state of an addon in `addon list`.
fn state(cluster: &Cluster, addon: &str) -> String {
    let rows = cluster.json(&["addon", "list"]);
    let row = rows.as_array().expect("rows").iter().find(|row| row["addon"] == addon).expect("the addon").clone();
    row["state"].as_str().expect("a state").to_owned()
}

fn pods_resolve_names_of_services_and_pods(parts: Parts) {
    let cluster = Cluster::boot_with_addons("dns", parts);
    assert_eq!(state(&cluster, "coredns"), "ready");
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    let labels = json!({ "app": "a" });
    let ports = json!([{ "port": 80 }]);
    let headless = json!({ "clusterIP": "None", "selector": labels, "ports": ports });
    cluster.apply(&list(&[
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "plain" }, "spec": { "selector": labels, "ports": ports } }),
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "headless" }, "spec": headless }),
        pod("a", &labels, "sleep 3600", &json!({ "hostname": "first", "subdomain": "headless" })),
    ]));
    let ready = cluster.ready_pod("a");
    let address = ready["status"]["podIP"].as_str().expect("an address").to_owned();
    let service = cluster.get(&["service", "plain"])["spec"]["clusterIP"].as_str().expect("an address").to_owned();
    let dashed = format!("{}.default.pod.cluster.local", address.replace('.', "-"));
    for (name, wanted) in [
        ("plain", &service),
        ("plain.default.svc.cluster.local", &service),
        ("headless.default.svc.cluster.local", &address),
        ("first.headless.default.svc.cluster.local", &address),
        (&dashed, &address),
    ] {
        until(&format!("the address of {name}"), TIMEOUT, || {
            let output = looked_up(&cluster, "a", name);
            if output.contains(wanted.as_str()) { Ok(()) } else { Err(output) }
        });
    }
    let output = looked_up(&cluster, "a", "no-such-name.default.svc.cluster.local");
    assert!(output.contains("NXDOMAIN"), "{output}");

    // The same after a stop, in a restarted pod.
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    cluster.ready_pod("a");
    let output = looked_up(&cluster, "a", "kubernetes.default.svc.cluster.local");
    assert!(output.contains("10.10.128.1"), "{output}");
}

fn volumes_and_metrics_follow_their_addons(parts: Parts) {
    let cluster = Cluster::new("addons");
    cluster.up(&[&["--addons", "local-path"][..], &parts.settings()].concat()).ok();
    assert_eq!(state(&cluster, "coredns"), "available");
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    let claim = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } });
    let volumes = json!({
        "volumes": [{ "name": "d", "persistentVolumeClaim": { "claimName": "data" } }],
        "volumeMounts": [{ "name": "d", "mountPath": "/data" }],
    });
    cluster.apply(&list(&[
        json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" }, "spec": claim }),
        pod("writer", &json!({}), "[ -e /data/x ] || echo kept > /data/x; sleep 3600", &volumes),
    ]));
    cluster.ready_pod("writer");

    cluster.run(&["addon", "add", "metrics-server"]).ok();
    until("figures of the node", TIMEOUT, || {
        let top = cluster.kubectl(&["top", "node", "node-0"]);
        if top.code == 0 && top.stdout.contains("node-0") { Ok(()) } else { Err(top.stderr) }
    });

    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    cluster.ready_pod("writer");
    cluster.kubectl(&["exec", "writer", "--", "cat", "/data/x"]).ok().prints(&["kept"]);
    assert_eq!(state(&cluster, "metrics-server"), "ready");

    cluster.kubectl(&["delete", "pod/writer", "pvc/data", "--timeout=60s"]).ok();
    until("the end of the volume", TIMEOUT, || {
        let left = cluster.get(&["persistentvolumes"]);
        if left["items"] == json!([]) { Ok(()) } else { Err(left.to_string()) }
    });
    cluster.run(&["addon", "remove", "metrics-server", "local-path"]).ok();
    for object in ["deployment/metrics-server", "clusterrole/local-path-provisioner", "storageclass/local-path"] {
        let outcome = cluster.kubectl(&["get", "--namespace=kube-system", object]);
        assert!(outcome.stderr.contains("NotFound"), "{object}: {outcome:?}");
    }
    assert_eq!(state(&cluster, "local-path"), "available");
    let wrong = cluster.run(&["addon", "remove", "local-path"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("the cluster has no addon `local-path`"), "{wrong:?}");
}

fn a_directory_of_manifests_is_an_addon(_: Parts) {
    let cluster = Cluster::new("manifests");
    let addon = cluster.base().join("my-addon");
    fs::create_dir(&addon).expect("a directory");
    let names = json!({ "plural": "widgets", "singular": "widget", "kind": "Widget" });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let version = json!({ "name": "v1", "served": true, "storage": true, "schema": schema });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.org" },
        "spec": { "group": "example.org", "scope": "Namespaced", "names": names, "versions": [version] },
    });
    fs::write(addon.join("a.json"), definition.to_string()).expect("a manifest");
    let widget = "apiVersion: example.org/v1\nkind: Widget\nmetadata: { name: w, namespace: demo }\n";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: demo }\n---\n";
    fs::write(addon.join("b.yaml"), format!("{namespace}{widget}")).expect("a manifest");
    let broken = cluster.base().join("broken.yaml");
    fs::write(&broken, "apiVersion: v1\nkind: [\n").expect("a file");
    let (addon, broken) = (addon.to_string_lossy().into_owned(), broken.to_string_lossy().into_owned());

    let refused = cluster.up(&["--addon", &broken]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("broken.yaml") && refused.stderr.contains("line 2"), "{refused:?}");
    assert!(!cluster.root().exists(), "nothing was created");
    let refused = cluster.up(&["--addons", "corends"]);
    assert!(refused.stderr.contains("did you mean `coredns`?"), "{refused:?}");

    cluster.up(&["--addons", "none", "--addon", &addon]).ok();
    assert_eq!(cluster.get(&["widgets", "--namespace=demo"])["items"][0]["metadata"]["name"], "w");
    assert_eq!(state(&cluster, "my-addon"), "ready");
    let refused = cluster.run(&["addon", "add", &broken]);
    assert!(refused.stderr.contains("line 2"), "{refused:?}");
    assert_eq!(cluster.wait_until_running()["state"], "running");

    // The next boot removes objects that aren't in the manifests any more, and applies new ones.
    cluster.run(&["stop"]).ok();
    fs::write(format!("{addon}/b.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: new }\n")
        .expect("a manifest");
    cluster.up(&[]).ok();
    assert_eq!(cluster.get(&["configmap", "new"])["metadata"]["name"], "new");
    until("the end of the namespace", TIMEOUT, || {
        let outcome = cluster.kubectl(&["get", "namespace", "demo"]);
        if outcome.stderr.contains("NotFound") { Ok(()) } else { Err(outcome.stdout) }
    });

    cluster.run(&["addon", "remove", "my-addon"]).ok();
    let gone = cluster.kubectl(&["get", "crd", "widgets.example.org"]);
    assert!(gone.stderr.contains("NotFound"), "{gone:?}");
    let rows = cluster.json(&["addon", "list"]);
    assert!(rows.as_array().expect("rows").iter().all(|row| row["addon"] != "my-addon"), "{rows}");
}

fn boot_with_wait_node_starts_addons_later(_: Parts) {
    let cluster = Cluster::new("wait");
    cluster.up(&["--wait", "node"]).ok();
    // It may be ready by now, depending on the machine. It has to become ready.
    until("names", TIMEOUT, || {
        let state = state(&cluster, "coredns");
        if state == "ready" { Ok(()) } else { Err(state) }
    });
    let events = fs::read_to_string(cluster.root().join("events.jsonl")).expect("events");
    let place = |wanted: &str| events.lines().position(|line| line.contains(wanted)).expect("the event");
    assert!(place(r#""event":"boot-ready""#) < place(r#""event":"ready","instance":"CoreDNS""#), "{events}");
}
