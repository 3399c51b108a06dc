//! Tests status and access of a running cluster.

use super::fixture::cluster;
use kubernix_tests::{Background, Parts, kubernix, run, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

pub fn the_node_is_ready_with_the_pinned_version(parts: Parts) {
    let nodes = cluster(parts).get(&["nodes"]);
    let nodes = nodes["items"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    let info = &nodes[0]["status"]["nodeInfo"];
    assert_eq!(info["kubeletVersion"], "v1.36.3", "{info}");
    assert_eq!(info["containerRuntimeVersion"], parts.runtime.version, "{info}");
    let conditions = nodes[0]["status"]["conditions"].as_array().expect("conditions");
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").expect("a condition Ready");
    assert_eq!(ready["status"], "True", "{ready}");
    let version = cluster(parts).kubectl(&["version", "--output", "json"]).ok().json();
    assert_eq!(version["serverVersion"]["gitVersion"], "v1.36.3", "{version}");
}

/// The host creates the namespace before the controller manager does, so that pods can be created
/// at once.
pub fn the_default_namespace_equals_one_of_the_controller_manager(parts: Parts) {
    let shape = |namespace: &str| {
        let objects = ["serviceaccount/default", "configmap/kube-root-ca.crt", "--namespace", namespace];
        let found = cluster(parts).kubectl(&[&["get", "--output", "json"][..], &objects].concat());
        let objects = found.ok().json()["items"].as_array().expect("two objects").clone();
        // The controller adds an annotation that describes the ConfigMap.
        objects.iter().map(|object| (object["kind"].clone(), object["data"].clone())).collect::<Vec<_>>()
    };
    let made = until("the controller manager's own", Duration::from_secs(30), || {
        let found = cluster(parts).kubectl(&["get", "configmap/kube-root-ca.crt", "--namespace", "kube-public"]);
        if found.code == 0 { Ok(shape("kube-public")) } else { Err(found.stderr) }
    });
    assert_eq!(shape("default"), made);
    assert!(made[1].1["ca.crt"].as_str().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")), "{made:?}");
}

/// During the boot, processes that `up` doesn't wait for have idle priority.
pub fn processes_have_normal_priority_after_the_boot(parts: Parts) {
    let status = cluster(parts).wait_until_running();
    let mut looked_at = 0;
    for component in status["components"].as_array().expect("components") {
        for pid in component["pids"].as_array().expect("pids") {
            for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("a process that runs").flatten() {
                let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { continue };
                // proc_pid_stat(5): nice is the 19th field and the policy the 41st, two less after
                // the name in parentheses.
                let rest: Vec<&str> = stat.rsplit(')').next().into_iter().flat_map(str::split_whitespace).collect();
                assert_eq!((rest[16], rest[38]), ("0", "0"), "{component}: {stat}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= parts.instances().len(), "{status}");
}

pub fn the_api_listens_only_on_127_0_0_1(parts: Parts) {
    let api = cluster(parts).status()["api"].as_str().expect("an address").to_owned();
    let port: u16 = api.strip_prefix("https://127.0.0.1:").and_then(|port| port.parse().ok()).expect(&api);
    let listening = |file: &str| {
        let table = fs::read_to_string(file).unwrap_or_default();
        let local = |line: &str| -> Option<String> {
            let mut fields = line.split_whitespace().skip(1);
            let (local, state) = (fields.next()?, fields.nth(1)?);
            (state == "0A" && local.ends_with(&format!(":{port:04X}"))).then(|| local.to_owned())
        };
        table.lines().filter_map(local).collect::<Vec<_>>()
    };
    // The address in native byte order.
    let loopback = format!("{:08X}:{port:04X}", u32::from_ne_bytes([127, 0, 0, 1]));
    assert_eq!(listening("/proc/net/tcp"), [loopback]);
    assert_eq!(listening("/proc/net/tcp6"), Vec::<String>::new());
}

pub fn keys_and_certificates_are_private(parts: Parts) {
    let root = cluster(parts).root();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!(mode(&root), 0o700);
    let mut looked_at = 0;
    let mut folders = vec![root.join("pki"), root.join("kubeconfig")];
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).expect("a directory").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                looked_at += 1;
                assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
            }
        }
    }
    assert!(looked_at > 20, "only {looked_at} files");
}

pub fn status_and_list_describe_the_cluster(parts: Parts) {
    let cluster = cluster(parts);
    let status = cluster.wait_until_running();
    assert_eq!(status["name"], cluster.name.as_str());
    assert_eq!(status["root"], &*cluster.root().to_string_lossy());
    assert_eq!(status["kubernetes"]["nodes"][0]["ready"], true, "{status}");
    let components = status["components"].as_array().expect("components");
    let names: Vec<&str> = components.iter().filter_map(|component| component["instance"].as_str()).collect();
    for instance in parts.instances() {
        assert!(names.contains(&&*instance), "{instance} isn't in {names:?}");
    }
    for component in components {
        assert_eq!(component["state"], "ready", "{component}");
        let pids = component["pids"].as_array().expect("pids");
        // An addon's processes run in pods.
        assert!(!pids.is_empty() || component["phase"] == "Addon", "{component}");
        assert!(pids.iter().all(|pid| Path::new(&format!("/proc/{pid}")).exists()), "{component}");
    }
    let text = cluster.run(&["status"]).ok().stdout;
    assert!(text.contains("running for") && text.contains(parts.runtime.title), "{text}");
    let list = cluster.json(&["list"]);
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!((&list[0]["name"], &list[0]["state"]), (&status["name"], &status["state"]), "{list}");
}

pub fn the_timeline_shows_every_component(parts: Parts) {
    let cluster = cluster(parts);
    let timeline = cluster.json(&["timeline"]).to_string();
    let svg = cluster.base().join("boot.svg");
    cluster.run(&["timeline", "--svg", &svg.to_string_lossy()]).ok();
    let picture = fs::read_to_string(&svg).expect("a picture");
    let document = roxmltree::Document::parse(&picture).expect("well-formed XML");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).map(str::trim).collect();
    for instance in parts.instances() {
        assert!(timeline.contains(&format!("\"{instance}\"")), "{instance} isn't in {timeline}");
        assert!(texts.iter().any(|text| text.contains(&instance)), "{instance} isn't in {texts:?}");
    }
}

pub fn logs_are_shown_by_component(parts: Parts) {
    let cluster = cluster(parts);
    let one = cluster.run(&["logs", parts.datastore.name, "--tail", "3"]).ok().stdout;
    assert_eq!(one.lines().count(), 3, "{one}");
    let follow = Background::start(&mut cluster.command(&["logs", "apiserver", "-f"]), cluster.base().join("followed"));
    follow.prints("line of a log that is followed", |text| text.lines().next().map(drop));
    cluster.run(&["logs", "apiservr"]).exits(2).says(&["`apiservr`", "did you mean `apiserver`?"]);
}

pub fn enter_runs_a_command_inside(parts: Parts) {
    let cluster = cluster(parts);
    let inside = |node: &[&str], script: &str| {
        let outcome = cluster.run(&[&["enter"], node, &["--", "/bin/sh", "-c", script]].concat());
        (outcome.code, outcome.stdout)
    };
    let (code, printed) = inside(&[], "cat /proc/1/cmdline; ls /sys/class/net; exit 7");
    assert_eq!(code, 7);
    assert!(printed.contains("__init") && printed.contains("kubernix0"), "{printed}");
    assert_eq!(inside(&["node-0"], "uname -n"), (0, "node-0\n".to_owned()));
    cluster.run(&["enter", "node-9", "--", "true"]).exits(2).says(&["no node `node-9`", "node-0"]);
    cluster.run(&["enter", "--", "/nonexistent"]).exits(1).says(&["`/nonexistent` can't be run inside"]);
}

pub fn enter_opens_a_shell_inside(parts: Parts) {
    let cluster = cluster(parts);
    let script = cluster.base().join("typed");
    fs::write(&script, "ls /sys/class/net\nkubectl get nodes --output name\nexit 5\n").expect("a script");
    let mut enter = cluster.command(&["enter"]);
    enter.env("SHELL", "/bin/sh").stdin(fs::File::open(&script).expect("the script"));
    let outcome = run(&mut enter).exits(5);
    assert!(outcome.stdout.contains("kubernix0") && outcome.stdout.contains("node/node-0"), "{outcome:?}");
}

pub fn shell_reaches_the_cluster(parts: Parts) {
    let cluster = cluster(parts);
    let script = cluster.base().join("shell");
    let text = "#!/bin/sh\nset -e\nenv\nkubectl get nodes --output name\ncrictl version\nkubernix list\nexit 9\n";
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("an executable script");
    let outcome = run(cluster.command(&["shell"]).env("SHELL", &script)).exits(9);
    let kubeconfig = cluster.root().join("kubeconfig/admin.kubeconfig");
    let endpoint = "CONTAINER_RUNTIME_ENDPOINT=unix:///";
    let kubeconfig = format!("KUBECONFIG={}", kubeconfig.display());
    let runtime = format!("RuntimeName:  {}", parts.runtime.cri);
    for part in [&*kubeconfig, endpoint, "node/node-0", &runtime, &cluster.name] {
        assert!(outcome.stdout.contains(part), "`{part}` isn't in:\n{}", outcome.stdout);
    }
    // Without the variables of the shell, the same command uses another cluster.
    run(kubernix().args(["status", "--root"]).arg(cluster.base())).exits(5);
}
