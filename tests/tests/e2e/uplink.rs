//! Tests the uplink of clusters: pulls by name, resolvers and proxies of the host, messages without
//! a network, and the restored host. They run in network namespaces of the test.

use kubernix_tests::network::{NAME, OUTSIDE, World};
use kubernix_tests::{
    Cluster, Lane, NO_ADDONS, Parts, SHARED, Snapshot, Test, checks, each, for_none, oci_archive, once, program,
    pulled_pod, run, until,
};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// The time limit until the remains of a cluster are removed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit until the kubelet reports a pull.
const PULL_TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![
        images_are_pulled_through_the_uplink,
        a_pull_without_a_network_fails_at_once,
        loopback_servers_of_the_host_are_forwarded,
    ];
    let of_any = checks![the_last_of_two_clusters_restores_forwarding];
    [each(SHARED, &Parts::runtimes(), &of_runtimes), once(Lane::shared(2, 2), &of_any)].concat()
}

/// The flag of `up` for a registry without TLS.
fn plain_registry() -> String {
    format!("registry.mirrors.{NAME}:5000=http://{NAME}:5000")
}

/// The kubelet's message about a failed pull.
#[track_caller]
fn failed_pull(cluster: &Cluster, image: &str) -> String {
    cluster.apply(&pulled_pod("pulls", image));
    until("word about a pull", PULL_TIMEOUT, || {
        let events = cluster.get(&["events", "--field-selector=involvedObject.name=pulls,reason=Failed"]);
        let all: Vec<&str> =
            events["items"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str()).collect();
        all.iter().find(|message| message.contains("Failed to pull")).map(ToString::to_string).ok_or(all.join("\n"))
    })
}

fn images_are_pulled_through_the_uplink(parts: Parts) {
    let world = World::new(&format!("nameserver {OUTSIDE}\n"), true);
    let _registry = world.registry();
    world.resolver(OUTSIDE);
    let cluster = Cluster::new("pull");
    world.push(&oci_archive(cluster.base()), &format!("{OUTSIDE}:5000/team/busybox:1"));
    let mirror = plain_registry();
    let up = [&["--set", &mirror][..], &parts.settings()].concat();
    world.in_host(|| {
        let before = Snapshot::take(&cluster.name, cluster.base());
        cluster.up(&up).ok();
        cluster.apply(&pulled_pod("pulls", &format!("{NAME}:5000/team/busybox:1")));
        cluster.ready_pod("pulls");
        let output = cluster.kubectl(&["exec", "pulls", "--", "nslookup", NAME]);
        assert!(output.stdout.contains(&OUTSIDE.to_string()), "a pod finds a name from outside: {output:?}");
        // The resolver of cluster DNS, and of pods that don't use it.
        let found = cluster.run(&["enter", "--", "cat", "/etc/resolv.conf"]).ok();
        assert!(found.stdout.contains(&format!("nameserver {OUTSIDE}")), "{found:?}");
        let id = cluster.id();
        let during = cluster.changes_since(&before, &id);
        for wanted in ["new: link kubernix-0", "masquerade", "new: sysctl net/ipv4/conf/eth0/forwarding = 1"] {
            assert!(during.iter().any(|change| change.contains(wanted)), "no {wanted} in {during:#?}");
        }
        assert!(!during.iter().any(|change| change.contains("net/ipv4/ip_forward")), "{during:#?}");
        // The command returns when nothing is left, so this doesn't wait.
        cluster.run(&["stop"]).ok();
        assert_eq!(cluster.changes_since(&before, &id), Vec::<String>::new());
        cluster.up(&[]).ok();
        cluster.run(&["down"]).ok();
        assert_eq!(cluster.changes_since(&before, &id), Vec::<String>::new());
    });
}

fn the_last_of_two_clusters_restores_forwarding(_: Parts) {
    let world = World::new("", true);
    let _registry = world.registry();
    let [one, other] = ["way-one", "way-other"].map(Cluster::new);
    let reaches = |cluster: &Cluster| {
        let url = format!("docker://{OUTSIDE}:5000/none");
        let tried = cluster.run(&["enter", "--", "skopeo", "list-tags", "--tls-verify=false", &url]);
        // A response proves that the registry was reached: the repository doesn't exist.
        assert!(tried.stderr.contains("404 (Not Found)"), "{tried:?}");
    };
    world.in_host(|| {
        let before = Snapshot::take(&one.name, one.base());
        // With a firewall like docker's, the cluster boots and reports what to do.
        run(program("nft").args(["add", "table", "ip", "filter"])).ok();
        let closed = "{ type filter hook forward priority 0; policy drop; }";
        run(program("nft").args(["add", "chain", "ip", "filter", "FORWARD", closed])).ok();
        one.up(&NO_ADDONS).ok().says(&["firewall drops", "FORWARD of table filter", "DOCKER-USER -i kubernix-0"]);
        run(program("nft").args(["delete", "table", "ip", "filter"])).ok();
        other.up(&NO_ADDONS).ok();
        let id = other.id();
        reaches(&one);
        reaches(&other);
        one.run(&["down"]).ok();
        reaches(&other);
        // If no process cleaned up after the last cluster, the next command does.
        let (keeper, init) = other.keeper_and_init();
        for pid in [keeper, init] {
            kill(pid, Signal::SIGSTOP).expect("it is there");
        }
        for pid in [keeper, init] {
            kill(pid, Signal::SIGKILL).expect("it is there");
        }
        other.run(&["down"]).ok();
        for_none("end of all that clusters were", REMOVAL_TIMEOUT, || other.changes_since(&before, &id));
    });
}

fn a_pull_without_a_network_fails_at_once(parts: Parts) {
    let world = World::new(&format!("nameserver {OUTSIDE}\n"), false);
    let cluster = Cluster::new("alone");
    world.in_host(|| {
        let before = Snapshot::take(&cluster.name, cluster.base());
        cluster.up(&[&NO_ADDONS[..], &parts.settings()].concat()).ok();
        let message = failed_pull(&cluster, "nginx:1.27");
        assert!(
            message.contains("this cluster has no network: load the image with `kubernix image load`"),
            "{message}"
        );
        let during = cluster.changes_since(&before, &cluster.id());
        assert!(!during.iter().any(|change| change.contains("link ") || change.contains("rule ")), "{during:#?}");
    });
}

fn loopback_servers_of_the_host_are_forwarded(parts: Parts) {
    let loopback = "127.0.0.53".parse().expect("an address");
    let world = World::new("nameserver 127.0.0.53\noptions edns0\n", true);
    let _registry = world.registry();
    world.resolver(loopback);
    let proxy = world.proxy("told by the proxy");
    let cluster = Cluster::new("carried");
    world.push(&oci_archive(cluster.base()), &format!("{OUTSIDE}:5000/team/busybox:1"));
    world.in_host(|| {
        let mirror = plain_registry();
        let mut up = cluster.command(&[&["up", "--addons", "none", "--set", &mirror][..], &parts.settings()].concat());
        up.env("https_proxy", format!("http://me:secret@127.0.0.1:{proxy}")).env("NO_PROXY", NAME);
        run(&mut up).ok();
        let message = failed_pull(&cluster, "quay.example/nginx:1.27");
        assert!(message.contains("told by the proxy"), "{message}");
        // The exception applies, and its name is resolved by a server that listens only on the
        // host.
        cluster.apply(&pulled_pod("direct", &format!("{NAME}:5000/team/busybox:1")));
        cluster.ready_pod("direct");
    });
}
