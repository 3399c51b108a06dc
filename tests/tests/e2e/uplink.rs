//! The way out of a cluster: pulls by name, resolvers and proxies of the host, what is said where
//! there is no way, and a host that is afterwards as it was. All of it between namespaces of the
//! test's own.

use kubernix_tests::network::{NAME, OUTSIDE, World};
use kubernix_tests::{
    Cluster, Lane, NO_ADDONS, Parts, SHARED, Snapshot, Test, checks, each, for_none, oci_archive, once, program,
    pulled_pod, run, until,
};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// How long what has to vanish may take.
const GONE: Duration = Duration::from_secs(10);
/// How long the kubelet may take to say what became of a pull.
const SAID: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![
        images_are_pulled_by_name_through_the_uplink_and_nothing_of_it_remains,
        without_a_network_a_pull_fails_at_once_and_says_so,
        what_listens_on_the_hosts_loopback_is_carried_in,
    ];
    let of_any = checks![two_clusters_share_a_host_and_the_last_one_gives_forwarding_back];
    [each(SHARED, &Parts::runtimes(), &of_runtimes), once(Lane::shared(2, 2), &of_any)].concat()
}

/// What `up` needs to know to pull from a registry without TLS.
fn plain_registry() -> String {
    format!("registry.mirrors.{NAME}:5000=http://{NAME}:5000")
}

/// What the kubelet said of a pod's pull that failed.
#[track_caller]
fn failed_pull(cluster: &Cluster, image: &str) -> String {
    cluster.apply(&pulled_pod("pulls", image));
    until("word about a pull", SAID, || {
        let events = cluster.get(&["events", "--field-selector=involvedObject.name=pulls,reason=Failed"]);
        let all: Vec<&str> =
            events["items"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str()).collect();
        all.iter().find(|said| said.contains("Failed to pull")).map(ToString::to_string).ok_or(all.join("\n"))
    })
}

fn images_are_pulled_by_name_through_the_uplink_and_nothing_of_it_remains(parts: Parts) {
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
        let told = cluster.kubectl(&["exec", "pulls", "--", "nslookup", NAME]);
        assert!(told.stdout.contains(&OUTSIDE.to_string()), "a pod finds a name from outside: {told:?}");
        // What cluster DNS forwards to, and pods see that go without it.
        let found = cluster.run(&["enter", "--", "cat", "/etc/resolv.conf"]).ok();
        assert!(found.stdout.contains(&format!("nameserver {OUTSIDE}")), "{found:?}");
        let id = cluster.id();
        let during = cluster.changes_since(&before, &id);
        for wanted in ["new: link kubernix-0", "masquerade", "new: sysctl net/ipv4/conf/eth0/forwarding = 1"] {
            assert!(during.iter().any(|change| change.contains(wanted)), "no {wanted} in {during:#?}");
        }
        assert!(!during.iter().any(|change| change.contains("net/ipv4/ip_forward")), "{during:#?}");
        // In order: the command returns when nothing is left.
        cluster.run(&["stop"]).ok();
        assert_eq!(cluster.changes_since(&before, &id), Vec::<String>::new());
        cluster.up(&[]).ok();
        cluster.run(&["down"]).ok();
        assert_eq!(cluster.changes_since(&before, &id), Vec::<String>::new());
    });
}

fn two_clusters_share_a_host_and_the_last_one_gives_forwarding_back(_: Parts) {
    let world = World::new("", true);
    let _registry = world.registry();
    let [one, other] = ["way-one", "way-other"].map(Cluster::new);
    let reaches = |cluster: &Cluster| {
        let url = format!("docker://{OUTSIDE}:5000/none");
        let tried = cluster.run(&["enter", "--", "skopeo", "list-tags", "--tls-verify=false", &url]);
        // The server was reached: it answers that there is no such repository.
        assert!(tried.stderr.contains("404 (Not Found)"), "{tried:?}");
    };
    world.in_host(|| {
        let before = Snapshot::take(&one.name, one.base());
        // A firewall as docker has one: the cluster says what to do about it, and boots.
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
        // The last cluster may have ended without a clean-up: the next command cleans up.
        let (keeper, init) = other.carriers();
        for pid in [keeper, init] {
            kill(pid, Signal::SIGSTOP).expect("it is there");
        }
        for pid in [keeper, init] {
            kill(pid, Signal::SIGKILL).expect("it is there");
        }
        other.run(&["down"]).ok();
        for_none("end of all that clusters were", GONE, || other.changes_since(&before, &id));
    });
}

fn without_a_network_a_pull_fails_at_once_and_says_so(parts: Parts) {
    let world = World::new(&format!("nameserver {OUTSIDE}\n"), false);
    let cluster = Cluster::new("alone");
    world.in_host(|| {
        let before = Snapshot::take(&cluster.name, cluster.base());
        cluster.up(&[&NO_ADDONS[..], &parts.settings()].concat()).ok();
        let said = failed_pull(&cluster, "nginx:1.27");
        assert!(said.contains("this cluster has no network: load the image with `kubernix image load`"), "{said}");
        let during = cluster.changes_since(&before, &cluster.id());
        assert!(!during.iter().any(|change| change.contains("link ") || change.contains("rule ")), "{during:#?}");
    });
}

fn what_listens_on_the_hosts_loopback_is_carried_in(parts: Parts) {
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
        let said = failed_pull(&cluster, "quay.example/nginx:1.27");
        assert!(said.contains("told by the proxy"), "{said}");
        // The exception holds, and its name is resolved by the host's resolver alone.
        cluster.apply(&pulled_pod("direct", &format!("{NAME}:5000/team/busybox:1")));
        cluster.ready_pod("direct");
    });
}
