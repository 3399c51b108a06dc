//! Tests images and pods.

use super::fixture::{cluster, with_pods};
use kubernix_tests::{
    Background, Cluster, IMAGE, Parts, docker_archive, for_none, oci_archive, pod, program, run, until,
};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The names of all images of a cluster.
fn images(cluster: &Cluster) -> Vec<String> {
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| names(field, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    names(&cluster.json(&["image", "list"]), &mut found);
    found
}

pub fn oci_and_docker_archives_are_loaded(parts: Parts) {
    let cluster = cluster(parts);
    let others = ["kubernix.local/test/other:2.0.0", "kubernix.local/test/packed:2.0.0"];
    let packed = docker_archive(cluster.base(), others[1]);
    run(program("gzip").arg(&packed)).ok();
    let archives = [oci_archive(cluster.base()), docker_archive(cluster.base(), others[0])];
    let [oci, docker] = archives.map(|archive| archive.to_string_lossy().into_owned());
    cluster.run(&["image", "load", &oci, &docker, &format!("{}.gz", packed.display())]).ok();
    let there = images(&cluster);
    for wanted in others.iter().chain([&IMAGE]) {
        assert!(there.iter().any(|name| name == wanted), "{wanted}: {there:?}");
    }
    let broken = cluster.base().join("broken.tar");
    fs::write(&broken, "no archive").expect("a file");
    cluster.run(&["image", "load", &broken.to_string_lossy()]).exits(2).says(&["broken.tar"]);
    cluster.run(&["image", "load", "/nonexistent.tar"]).exits(2).says(&["/nonexistent.tar"]);
    assert_eq!(images(&cluster), there);
}

pub fn a_pod_gets_an_address_of_the_nodes_pod_cidr(parts: Parts) {
    let cluster = with_pods(parts);
    let node = cluster.get(&["node", "node-0"]);
    let cidr = node["spec"]["podCIDR"].as_str().expect("a pod CIDR").to_owned();
    let (network, prefix) = cidr.split_once('/').expect("ADDRESS/PREFIX");
    let bits = |address: &str| u32::from(address.parse::<Ipv4Addr>().expect("an address"));
    let mask = u32::MAX << (32 - prefix.parse::<u32>().expect("a prefix"));
    let pod = cluster.ready_pod("server");
    let ip = pod["status"]["podIP"].as_str().expect("a pod IP");
    assert_eq!(bits(ip) & mask, bits(network), "{ip} isn't in {cidr}");
    let own = cluster.kubectl(&["exec", "server", "--", "ip", "-4", "addr", "show", "eth0"]).ok().stdout;
    assert!(own.contains(&format!("inet {ip}/")), "{own}");
}

pub fn a_pod_reaches_a_service_by_its_cluster_ip(parts: Parts) {
    let cluster = with_pods(parts);
    let service = cluster.get(&["service", "hello"]);
    let ip = service["spec"]["clusterIP"].as_str().expect("a cluster IP");
    until("answer of the Service", TIMEOUT, || {
        let answer = cluster.kubectl(&["exec", "client", "--", "nc", "-w", "3", ip, "80"]);
        if answer.stdout == "hello\n" { Ok(()) } else { Err(format!("{answer:?}")) }
    });
    let api = cluster.get(&["service", "kubernetes"])["spec"]["clusterIP"].as_str().expect("a cluster IP").to_owned();
    // nc exits with 0 when it is connected and standard input ends.
    cluster.kubectl(&["exec", "client", "--", "nc", "-w", "3", &api, "443"]).ok();
}

pub fn exec_returns_the_exit_status(parts: Parts) {
    let cluster = with_pods(parts);
    let outcome = cluster.kubectl(&["exec", "client", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]).exits(3);
    assert_eq!(outcome.stdout, "out\n");
    assert!(outcome.stderr.starts_with("err\n"), "{}", outcome.stderr);
}

pub fn container_logs_are_read(parts: Parts) {
    let cluster = with_pods(parts);
    let logs = cluster.kubectl(&["logs", "server"]).ok().stdout;
    assert!(logs.starts_with("I serve\n"), "{logs}");
}

pub fn port_forward_reaches_a_pod(parts: Parts) {
    let cluster = with_pods(parts);
    let mut forward = cluster.command(&["kubectl", "--", "port-forward", "pod/server", ":8080"]);
    let forward = Background::start(&mut forward, cluster.base().join("forwarded"));
    let port = forward.prints("port that is forwarded", |text| {
        let rest = text.split_once("127.0.0.1:")?.1;
        rest.split_once(' ')?.0.parse::<u16>().ok()
    });
    let answer = until("answer through the port", TIMEOUT, || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        // The server starts its listener again for each connection.
        if answer.is_empty() { Err("nothing".to_owned()) } else { Ok(answer) }
    });
    assert_eq!(answer, "hello\n");
}

pub fn cp_copies_in_both_directions(parts: Parts) {
    let cluster = with_pods(parts);
    let [there, back] = ["there", "back"].map(|name| cluster.base().join(name).to_string_lossy().into_owned());
    let content: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    fs::write(&there, &content).expect("a file");
    cluster.kubectl(&["cp", &there, "client:/tmp/copied"]).ok();
    cluster.kubectl(&["cp", "client:/tmp/copied", &back]).ok();
    assert!(fs::read_to_string(&back).expect("a file") == content, "it came back changed");
}

pub fn a_guaranteed_pod_runs(parts: Parts) {
    let cluster = with_pods(parts);
    let amount = json!({ "cpu": "100m", "memory": "32Mi" });
    cluster.apply(&pod("guaranteed", "sleep 3600", &json!({ "requests": amount, "limits": amount })));
    let pod = cluster.ready_pod("guaranteed");
    assert_eq!(pod["status"]["qosClass"], "Guaranteed", "{pod}");
    cluster.kubectl(&["delete", "pod", "guaranteed", "--timeout", "60s"]).ok();
}

pub fn a_deleted_pod_is_gone(parts: Parts) {
    let cluster = with_pods(parts);
    cluster.apply(&pod("brief", "sleep 3600", &json!({})));
    cluster.ready_pod("brief");
    cluster.kubectl(&["delete", "pod", "brief", "--timeout", "60s"]).ok();
    cluster.kubectl(&["get", "pod", "brief"]).exits(1).says(&["not found"]);
    // Kubernetes removes a pod when its containers have ended; the runtime removes the sandbox
    // later.
    for_none("end of the pod in the runtime", TIMEOUT, || {
        let enter = ["enter", "--", "crictl", "pods", "--name", "brief", "--state", "ready", "--quiet"];
        cluster.run(&enter).ok().stdout.lines().map(str::to_owned).collect()
    });
}
