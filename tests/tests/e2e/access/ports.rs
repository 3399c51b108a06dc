//! Tests published ports, and a merged context that follows the API server's port.

use kubernix_tests::{Cluster, Outcome, Parts, free_port, oci_archive, pod, run, until};
use serde_json::{Value, json};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
/// The time limit of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The node ports of the web server and of cluster DNS.
const WEB: u16 = 30080;
const DNS: u16 = 30053;
/// The user's kubeconfig before the test.
const BEFORE: &str = "# mine\napiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster: {server: 'https://192.0.2.1'} # far away\ncontexts: []\nusers: []\ncurrent-context: \"\"\n";

/// A port that is free for TCP and UDP.
fn free() -> u16 {
    loop {
        let port = free_port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The response of the web server at this port of the host.
fn web_response(port: u16) -> Result<String, String> {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(RESPONSE_TIMEOUT)).map_err(|error| error.to_string())?;
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    if answer == "hello\n" { Ok(answer) } else { Err(format!("it says {answer:?}")) }
}

/// A query for the address of the Service `kubernetes`.
fn query() -> Vec<u8> {
    let labels = ["kubernetes", "default", "svc", "cluster", "local"];
    let name: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &name, &[0, 0, 1, 0, 1]].concat()
}

/// Checks that a response has the address of the Service `kubernetes`.
fn checked(answer: &[u8]) -> Result<(), String> {
    match answer.windows(4).any(|bytes| bytes == [10, 10, 128, 1]) {
        true => Ok(()),
        false => Err(format!("no such address in {answer:?}")),
    }
}

/// Queries cluster DNS at this port of the host.
fn resolved_by_udp(port: u16) -> Result<(), String> {
    let mut answer = [0; 512];
    let mut asked = || {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        socket.send_to(&query(), ("127.0.0.1", port))?;
        socket.recv(&mut answer)
    };
    let length = asked().map_err(|error: std::io::Error| error.to_string())?;
    checked(&answer[..length])
}

fn resolved_by_tcp(stream: &mut TcpStream) -> Result<(), String> {
    let mut answer = [0; 512];
    let query = query();
    let mut asked = || {
        stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
        stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let length = usize::from(u16::from_be_bytes(length)).min(answer.len());
        stream.read_exact(&mut answer[..length]).map(|()| length)
    };
    let length = asked().map_err(|error: std::io::Error| error.to_string())?;
    checked(&answer[..length])
}

/// Creates a web server at [`WEB`] and cluster DNS at [`DNS`] of each node.
fn serve(cluster: &Cluster) {
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    let service = |name: &str, namespace: &str, spec: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": namespace }, "spec": spec });
    let web = json!([{ "port": 80, "targetPort": 8080, "nodePort": WEB }]);
    let dns = [("UDP", "dns"), ("TCP", "dns-tcp")].map(|(protocol, name)| {
        json!({ "name": name, "protocol": protocol, "port": 53, "targetPort": name, "nodePort": DNS })
    });
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
        pod("web", "while true; do echo hello | nc -l -p 8080 > /dev/null; done", &json!({})),
        service("web", "default", json!({ "type": "NodePort", "selector": { "app": "web" }, "ports": web })),
        service("dns", "kube-system", json!({ "type": "NodePort", "selector": { "k8s-app": "kube-dns" }, "ports": dns })),
    ] }));
    cluster.ready_pod("web");
}

/// The published ports in the form of `port add`.
fn listed(cluster: &Cluster) -> Vec<String> {
    let rows = cluster.json(&["port", "list"]);
    rows.as_array().expect("a list").iter().map(|row| row["spec"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Runs `up` with this kubeconfig of the user.
fn up(cluster: &Cluster, kubeconfig: &Path, settings: &[&str]) -> Outcome {
    run(cluster.command(&[&["up"], settings].concat()).env("KUBECONFIG", kubeconfig))
}

pub fn published_ports_are_changed_and_restored(_: Parts) {
    let cluster = Cluster::new("ports");
    let kubeconfig = cluster.base().join("user.kubeconfig");
    fs::write(&kubeconfig, BEFORE).expect("a file");
    let [web, dns, more, api] = [free(), free(), free(), free()];
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address.port(), taken)).expect("its address");
    let own = format!("(process {})", std::process::id());

    // A taken port is rejected before anything is created, and the message names its process.
    let [of_web, of_dns] = [format!("{web}:{WEB}"), format!("{dns}:{DNS}/udp")];
    let of_taken = format!("{}:{WEB}", taken.0);
    let port = format!("port {} of 127.0.0.1 (tcp) can't be published: ", taken.0);
    up(&cluster, &kubeconfig, &["--publish", &of_web, "--publish", &of_taken]).exits(1).says(&[&port, &own]);
    cluster.up(&["--publish", "here:8080:30080"]).exits(2).says(&["`here:8080` is neither PORT"]);
    fs::write(cluster.base().join("broken"), "clusters: [").expect("a file");
    up(&cluster, &cluster.base().join("broken"), &["--merge-kubeconfig"])
        .exits(2)
        .says(&["broken:1:11: not a kubeconfig"]);
    assert!(!cluster.root().exists(), "nothing was made");

    let settings = ["--publish", &of_web, "--publish", &of_dns, "--merge-kubeconfig"];
    let context = format!("context `kubernix-{}` is in {} and the current one", cluster.name, kubeconfig.display());
    up(&cluster, &kubeconfig, &settings).ok().prints(&[&context]);
    serve(&cluster);
    until("web server at the host's port", TIMEOUT, || web_response(web));
    until("cluster DNS at the host's port", TIMEOUT, || resolved_by_udp(dns));
    let rows = cluster.json(&["port", "list"]);
    let row = |place: u16, target: u16, protocol: &str, spec: &str| {
        let (host, target) = (format!("127.0.0.1:{place}"), format!("10.10.192.2:{target}"));
        json!({ "host": host, "target": target, "protocol": protocol, "spec": format!("127.0.0.1:{spec}") })
    };
    for row in [row(web, WEB, "tcp", &of_web), row(dns, DNS, "udp", &of_dns)] {
        assert!(rows.as_array().expect("rows").contains(&row), "{row} isn't in {rows}");
    }

    // While it runs.
    let of_more = format!("0.0.0.0:{more}:{DNS}");
    cluster
        .run(&["port", "add", &of_more])
        .ok()
        .prints(&[&format!("0.0.0.0:{more} forwards to 10.10.192.2:{DNS} (tcp)")]);
    let mut kept = TcpStream::connect(("127.0.0.1", more)).expect("a connection");
    resolved_by_tcp(&mut kept).expect("an answer");
    let all = listed(&cluster);
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(cluster.json(&["port", "add", &of_more]), json!([]), "it is there already");
    cluster.run(&["port", "add", &format!("{}:1", free()), &of_taken]).exits(1).says(&[&port, &own]);
    cluster.run(&["port", "add", &format!("{web}:1")]).exits(2).says(&[&format!("is forwarded to port {WEB} already")]);
    let other = cluster.sibling("other");
    let holder = format!("cluster `{}`", cluster.name);
    other.up(&["--publish", &of_web]).exits(1).says(&[&format!("port {web} of 127.0.0.1"), &holder]);
    cluster.run(&["port", "remove", "1"]).exits(2).says(&["doesn't publish 127.0.0.1:1/tcp: it publishes"]);
    assert_eq!(listed(&cluster), all, "nothing of that changed anything");

    cluster.run(&["port", "remove", &format!("0.0.0.0:{more}"), &format!("{dns}/udp")]).ok();
    assert_eq!(listed(&cluster), [format!("127.0.0.1:{of_web}")]);
    kept.set_read_timeout(Some(TIMEOUT)).expect("a limit");
    let end = kept.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "connections end with their port: {end:?}");
    drop((
        TcpListener::bind(("127.0.0.1", more)).expect("a free port"),
        UdpSocket::bind(("127.0.0.1", dns)).expect("one"),
    ));

    // After a stop the ports are published again. The merged context follows the new port of the
    // API server.
    cluster.run(&["stop"]).ok();
    drop(TcpListener::bind(("127.0.0.1", web)).expect("a stopped cluster has no ports"));
    assert_eq!(listed(&cluster), [format!("127.0.0.1:{of_web}")]);
    up(&cluster, &kubeconfig, &["--port", &api.to_string(), "--merge-kubeconfig=false"]).ok();
    until("web server at the host's port again", TIMEOUT, || web_response(web));
    let text = fs::read_to_string(&kubeconfig).expect("a kubeconfig");
    assert!(text.contains(&format!("server: https://127.0.0.1:{api}\n")), "{text}");
    let by_context = ["get", "node", "node-0", "--kubeconfig", &kubeconfig.to_string_lossy()];
    cluster.kubectl(&by_context).ok().prints(&["node-0"]);

    // Flags also apply to a running cluster, and `--fresh` reuses the cluster's own ports.
    let of_more = format!("{more}:{WEB}");
    cluster.up(&["--publish", &of_more, "--publish", &of_taken]).exits(1).says(&[&port, &own]);
    cluster.up(&["--publish", &of_web, "--publish", &of_more]).ok();
    until("web server at another of the host's ports", TIMEOUT, || web_response(more));
    cluster.up(&["--publish", &of_more]).ok();
    assert_eq!(listed(&cluster), [format!("127.0.0.1:{of_more}")]);
    cluster.up(&["--publish", &of_more]).exits(4);
    up(&cluster, &kubeconfig, &["--fresh", "--addons", "none"]).ok();
    assert_eq!(listed(&cluster), [format!("127.0.0.1:{of_more}")]);
    let readyz = ["get", "--raw", "/readyz", "--kubeconfig", &kubeconfig.to_string_lossy()];
    cluster.kubectl(&readyz).ok().prints(&["ok"]);

    run(cluster.command(&["down"]).env("KUBECONFIG", &kubeconfig)).ok();
    assert_eq!(fs::read_to_string(&kubeconfig).expect("a kubeconfig"), BEFORE);
    drop(TcpListener::bind(("127.0.0.1", more)).expect("nothing remains"));
}
