//! Tests the local registry: images pushed to 127.0.0.1:PORT run under that name, and survive a
//! stop.

use kubernix_tests::network::push;
use kubernix_tests::{
    Cluster, Lane, Parts, SHARED, Test, checks, each, for_none, oci_archive, once, processes_of, pulled_pod,
};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// The time limit until all processes have ended.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![pushed_images_run_under_the_same_name_and_survive_a_stop];
    let of_any = checks![the_registry_can_be_disabled];
    [each(Lane::shared(2, 2), &Parts::runtimes(), &of_runtimes), once(SHARED, &of_any)].concat()
}

fn pushed_images_run_under_the_same_name_and_survive_a_stop(parts: Parts) {
    let [cluster, other] = ["reg", "reg-other"].map(Cluster::new);
    let up = [&["--addons", "registry", "--uplink", "none"][..], &parts.settings()].concat();
    cluster.up(&up).ok();
    other.up(&up).ok();
    let name = |cluster: &Cluster| {
        let status = cluster.wait_until_running();
        status["registry"].as_str().unwrap_or_else(|| panic!("no registry in {status}")).to_owned()
    };
    let address = name(&cluster);
    assert_ne!(name(&other), address, "each has its own port");
    other.run(&["down"]).ok();
    let hosting = cluster.get(&["configmap", "local-registry-hosting", "--namespace", "kube-public"]);
    let hosting_text = hosting["data"]["localRegistryHosting.v1"].as_str().unwrap_or_default();
    assert!(hosting_text.contains(&format!("host: \"{address}\"")), "{hosting}");

    let image = format!("{address}/team/busybox:1");
    push(&oci_archive(cluster.base()), &image);
    cluster.apply(&pulled_pod("first", &image));
    cluster.ready_pod("first");
    cluster.run(&["stop"]).ok();
    // `up` without flags keeps the settings.
    cluster.up(&[]).ok();
    assert_eq!(name(&cluster), address);
    cluster.apply(&pulled_pod("second", &image));
    cluster.ready_pod("second");
    // A pulled image is still there after all processes were killed, without another pull.
    cluster.kubectl(&["delete", "pods", "first", "second", "--now"]).ok();
    let (keeper, init) = cluster.keeper_and_init();
    let all = processes_of(keeper.as_raw(), init.as_raw());
    for process in [keeper, init] {
        kill(process, Signal::SIGKILL).expect("it runs");
    }
    for_none("end of all processes", REMOVAL_TIMEOUT, || {
        all.iter().filter(|process| process.is_alive()).map(|process| process.command.clone()).collect()
    });
    cluster.up(&[]).ok();
    let images = cluster.json(&["image", "list"]).to_string();
    assert!(images.contains(&image), "{image} is not in {images}");
}

fn the_registry_can_be_disabled(_: Parts) {
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
