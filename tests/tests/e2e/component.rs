//! Tests the replacement of components of a running cluster: by another build, by another
//! component, and by a broken one.

use kubernix_tests::{
    Cluster, Parts, SHARED, Test, alive, checks, each, main_process, oci_archive, once, pod, run, until,
};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![a_runtime_is_restarted, another_oci_runtime_is_used];
    let of_any = checks![
        a_binary_is_replaced_alone_and_a_broken_one_is_rolled_back,
        a_toml_component_is_added_to_a_running_cluster,
        a_runtime_replaces_another,
    ];
    [each(SHARED, &Parts::runtimes(), &of_runtimes), once(SHARED, &of_any)].concat()
}

/// The PID on the host of a component's main process.
fn pid(cluster: &Cluster, component: &str) -> Pid {
    main_process(&cluster.status(), component).expect("a running component")
}

/// A scheduler script that prints a valid version, or runs `then`.
fn scheduler(cluster: &Cluster, name: &str, then: &str) -> String {
    let path = cluster.base().join(name);
    let text = format!("#!/bin/sh\n[ \"$1\" = --version ] && {{ echo 'Kubernetes v1.36.9'; exit; }}\n{then}\n");
    fs::write(&path, text).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an executable");
    path.to_string_lossy().into_owned()
}

/// The program of a component's process.
fn program(cluster: &Cluster, component: &str) -> PathBuf {
    let status = cluster.status();
    let components = status["components"].as_array().expect("components").clone();
    let found = components.into_iter().find(|one| one["component"] == component).expect("the component");
    let log = PathBuf::from(found["logs"][0].as_str().expect("a log"));
    let run: Value =
        serde_json::from_slice(&fs::read(log.with_extension("run.json")).expect("a run.json")).expect("JSON");
    run["process"]["program"].as_str().or_else(|| run["program"].as_str()).expect("a program").into()
}

fn a_binary_is_replaced_alone_and_a_broken_one_is_rolled_back(_: Parts) {
    let cluster = Cluster::boot("component");
    let (etcd, before) = (pid(&cluster, "etcd"), program(&cluster, "scheduler"));
    let good = scheduler(&cluster, "good", &format!("exec '{}' \"$@\"", before.display()));
    cluster.run(&["component", "replace", "--set", &format!("scheduler.binary={good}")]).ok();
    assert_eq!(program(&cluster, "scheduler"), PathBuf::from(&good));
    assert_eq!(pid(&cluster, "etcd"), etcd, "the others aren't restarted");

    let broken = scheduler(&cluster, "broken", "echo 'broken on purpose'; exit 3");
    let outcome = cluster.run(&["component", "replace", "--set", &format!("scheduler.binary={broken}")]);
    assert_eq!(outcome.code, 6, "{outcome:?}");
    assert!(outcome.stderr.contains("exit status 3") && outcome.stderr.contains("broken on purpose"), "{outcome:?}");
    assert!(outcome.stderr.contains("what ran before runs again"), "{outcome:?}");
    assert_eq!(program(&cluster, "scheduler"), PathBuf::from(&good));
    assert_eq!(cluster.wait_until_running()["state"], "running");
    assert_eq!(pid(&cluster, "etcd"), etcd);

    // The rejected setting isn't saved.
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    assert_eq!(program(&cluster, "scheduler"), PathBuf::from(&good));
}

fn a_toml_component_is_added_to_a_running_cluster(_: Parts) {
    let cluster = Cluster::boot("toml");
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
}

/// Pods end with the runtime. The images are still there for new pods.
fn a_runtime_is_restarted(parts: Parts) {
    let (cluster, name) = (Cluster::boot_of("anew", parts), parts.runtime.name);
    load(&cluster);
    let (before, images) = (pid(&cluster, name), cluster.json(&["image", "list"]));
    cluster.run(&["component", "replace", "cri", name]).ok();
    assert_ne!(pid(&cluster, name), before);
    assert_eq!(cluster.json(&["image", "list"]), images);
    cluster.apply(&pod("after", "sleep 3600", &json!({})));
    alive(&cluster, "after");
}

/// Replaces the runtime by each other one and back. The kubelet, the pod and the API stay.
fn a_runtime_replaces_another(parts: Parts) {
    let cluster = Cluster::boot_of("swap", parts);
    load(&cluster);
    cluster.apply(&pod("main", "sleep 3600", &json!({})));
    alive(&cluster, "main");
    let uid = cluster.get(&["pod", "main"])["metadata"]["uid"].clone();
    let others = Parts::runtimes().into_iter().filter(|other| *other != parts);
    for other in others.flat_map(|other| [other, parts]) {
        cluster.run(&["component", "replace", "cri", other.runtime.name]).ok();
        load(&cluster);
        until("node with the other runtime", TIMEOUT, || {
            let runtime = cluster.get(&["node", "node-0"])["status"]["nodeInfo"]["containerRuntimeVersion"].clone();
            if runtime == other.runtime.version { Ok(()) } else { Err(runtime.to_string()) }
        });
        alive(&cluster, "main");
    }
    assert_eq!(cluster.get(&["pod", "main"])["metadata"]["uid"], uid);
    // The last setting is saved.
    cluster.run(&["stop"]).ok();
    cluster.up(&[]).ok();
    alive(&cluster, "main");
}

/// Uses an OCI runtime by its name on PATH, and by its path. It is a wrapper of runc under the
/// other name, which records its calls.
fn another_oci_runtime_is_used(parts: Parts) {
    let (cluster, name) = (Cluster::new("oci"), parts.runtime.name);
    let tools = cluster.command(&["toolchain", "ensure", "--output", "json", "runc"]);
    let runc = run(&mut { tools }).ok().json()["tools"]["runc"]["path"].as_str().expect("a path").to_owned();
    let called = cluster.base().join("called");
    let wrapper = |name: &str| {
        let path = cluster.base().join(name);
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo 'crun version 1.21'; exit; }}\necho {name} \"$*\" >> '{}'\nexec '{runc}' \"$@\"\n",
            called.display()
        );
        fs::write(&path, text).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an executable");
        path
    };
    let (_, own) = (wrapper("crun"), wrapper("own-runtime"));
    let path = std::env::var("PATH").expect("a PATH");
    let path = format!("{}:{path}", cluster.base().display());
    let set = |value: &str| format!("{name}.runtime={value}");
    let by_name = set("crun");
    let up = [&["up", "--addons", "none", "--set", &by_name][..], &parts.settings()].concat();
    run(cluster.command(&up).env("PATH", &path)).ok();
    load(&cluster);
    cluster.apply(&pod("main", "sleep 3600", &json!({})));
    alive(&cluster, "main");
    let calls = || fs::read_to_string(&called).unwrap_or_default();
    assert!(calls().lines().any(|line| line.starts_with("crun ") && line.contains(" create ")), "{}", calls());

    cluster.run(&["component", "replace", "--set", &set(&own.to_string_lossy())]).ok();
    cluster.apply(&pod("other", "sleep 3600", &json!({})));
    alive(&cluster, "other");
    assert!(calls().lines().any(|line| line.starts_with("own-runtime ") && line.contains(" create ")), "{}", calls());

    // An unusable runtime is rejected, and the current one stays.
    fs::write(cluster.base().join("crun"), "#!/bin/sh\necho crun version 1.8.1\n").expect("a script");
    let old = set(&cluster.base().join("crun").to_string_lossy());
    let refused = cluster.run(&["component", "replace", "--set", &old]).exits(3);
    refused.says(&["crun has version 1.8.1, but >=1.14.3 is required"]);
    cluster.run(&["component", "replace", "--set", &set("bin/crun")]).exits(2).says(&["`runtime` is `bin/crun`"]);
    alive(&cluster, "other");
}

fn load(cluster: &Cluster) {
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
}
