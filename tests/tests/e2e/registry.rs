//! The local registry: what the host pushes to 127.0.0.1:PORT runs under that name, and is there
//! again after a stop.

use kubernix_tests::network::push;
use kubernix_tests::{
    Cluster, Lane, Parts, SHARED, Test, checks, each, for_none, oci_archive, once, processes_of, pulled_pod,
};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// How long what has to vanish may take.
const GONE: Duration = Duration::from_secs(10);

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![what_the_host_pushes_runs_under_the_same_name_and_outlives_a_stop];
    let of_any = checks![a_cluster_that_wants_no_registry_has_none];
    [each(Lane::shared(2, 2), &Parts::runtimes(), &of_runtimes), once(SHARED, &of_any)].concat()
}

fn what_the_host_pushes_runs_under_the_same_name_and_outlives_a_stop(parts: Parts) {
    let [cluster, other] = ["reg", "reg-other"].map(Cluster::new);
    let up = [&["--addons", "registry", "--uplink", "none"][..], &parts.settings()].concat();
    cluster.up(&up).ok();
    other.up(&up).ok();
    let name = |cluster: &Cluster| {
        let status = cluster.running();
        status["registry"].as_str().unwrap_or_else(|| panic!("no registry in {status}")).to_owned()
    };
    let address = name(&cluster);
    assert_ne!(name(&other), address, "each has a port of its own");
    other.run(&["down"]).ok();
    let hosting = cluster.get(&["configmap", "local-registry-hosting", "--namespace", "kube-public"]);
    let said = hosting["data"]["localRegistryHosting.v1"].as_str().unwrap_or_default();
    assert!(said.contains(&format!("host: \"{address}\"")), "{hosting}");

    let image = format!("{address}/team/busybox:1");
    push(&oci_archive(cluster.base()), &image);
    cluster.apply(&pulled_pod("first", &image));
    cluster.ready_pod("first");
    cluster.run(&["stop"]).ok();
    // Nothing is said again: what it was booted with is what it is.
    cluster.up(&[]).ok();
    assert_eq!(name(&cluster), address);
    cluster.apply(&pulled_pod("second", &image));
    cluster.ready_pod("second");
    // The pulled image is still there after all processes were killed, and isn't pulled again.
    cluster.kubectl(&["delete", "pods", "first", "second", "--now"]).ok();
    let (keeper, init) = cluster.carriers();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    for process in [keeper, init] {
        kill(process, Signal::SIGKILL).expect("it was there");
    }
    for_none("end of all processes", GONE, || {
        all.iter().filter(|process| process.is_alive()).map(|process| process.command.clone()).collect()
    });
    cluster.up(&[]).ok();
    let images = cluster.json(&["image", "list"]).to_string();
    assert!(images.contains(&image), "{image} is not in {images}");
}

fn a_cluster_that_wants_no_registry_has_none(_: Parts) {
    let plain = Cluster::new("no-reg");
    let plan = plain.json(&["plan"]);
    let instances = plan["instances"].as_array().expect("instances");
    assert!(!instances.iter().any(|instance| instance["component"] == "registry"), "{plan}");
    let asked = plain.json(&["plan", "--addons", "registry", "--registry-port", "5777"]);
    let text = asked.to_string();
    assert!(
        text.contains("prefix = \\\"127.0.0.1:5777\\\"") && text.contains("location = \\\"10.10.192.1:5000\\\""),
        "{text}"
    );
}
