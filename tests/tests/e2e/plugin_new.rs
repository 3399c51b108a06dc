//! Tests `kubernix plugin new`: the created crates build, pass their tests and the kit, and boot.
//!
//! The crates are outside of the workspace and share a target directory below it: compiling the
//! contract takes a minute.

use kubernix_tests::{
    Base, Cluster, IMAGE, Outcome, Parts, SHARED, Test, alive, checks, kubernix, oci_archive, once, pod, program,
    run_for, until,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time limit of a build without a cache, on a busy machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(900);
/// The time limit of a boot that builds the runtime from source: containerd takes minutes.
const FIRST_BOOT_TIMEOUT: Duration = Duration::from_secs(1200);
const TIMEOUT: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let checks = checks![
        a_new_runtime_builds_and_runs_pods_across_a_restart,
        a_new_runtime_passes_the_live_checks,
        a_new_component_builds_and_boots,
        every_role_has_a_template_that_builds,
        invalid_names_are_rejected_without_output,
    ];
    once(SHARED, &checks)
}

/// The target directory of the crates, below the workspace's, so that later runs reuse it.
fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    std::path::absolute(target.join("plugin-new")).expect("a working directory")
}

/// A crate that `plugin new` wrote.
struct Crate {
    directory: PathBuf,
    library: PathBuf,
}

impl Crate {
    fn new(base: &Base, name: &str, more: &[&str]) -> Self {
        let mut new = kubernix();
        new.current_dir(base.path()).args(["plugin", "new", name, "--output", "json"]).args(more);
        let made = run_for(&mut new, TIMEOUT).ok().json();
        let library = target().join("release").join(format!("lib{}.so", name.replace('-', "_")));
        assert_eq!(made["name"], name);
        Self { directory: made["directory"].as_str().expect("a directory").into(), library }
    }

    fn cargo(&self, args: &[&str]) -> Outcome {
        let mut cargo = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.directory).env("CARGO_TARGET_DIR", target()).args(args);
        // Variables of the tests' own build are removed: a user's cargo doesn't have them.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
            cargo.env_remove(name);
        }
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_MANIFEST_DIR");
        run_for(&mut cargo, BUILD_TIMEOUT)
    }

    /// Builds it without warnings and runs its tests.
    fn build(&self) -> &str {
        let built = self.cargo(&["build", "--release"]).ok();
        assert!(!built.stderr.contains("warning"), "{}", built.stderr);
        let tested = self.cargo(&["test", "--release"]).ok();
        assert!(
            tested.stdout.contains("test result: ok. ") && !tested.stdout.contains(" 0 passed"),
            "{}",
            tested.stdout
        );
        let library = self.library.to_str().expect("a path that is text");
        check(&[library]).ok().prints(&["0 failed", "it conforms"]);
        library
    }
}

fn check(args: &[&str]) -> Outcome {
    run_for(kubernix().args(["plugin", "check"]).args(args), TIMEOUT)
}

fn a_new_component_builds_and_boots(_: Parts) {
    let base = Base::new();
    let library = Crate::new(&base, "hello-new", &[]);
    let cluster = Cluster::new("new");
    cluster.up(&["--plugin", library.build(), "--set", "hello-new.greeting=good day", "--addons", "none"]).ok();
    let greeting = cluster.get(&["configmap", "hello-new"])["data"]["greeting"].clone();
    assert_eq!(greeting, format!("good day from {}", cluster.name));
    assert!(cluster.wait_until_running()["components"].to_string().contains("hello-new"));
}

fn a_new_runtime_builds_and_runs_pods_across_a_restart(_: Parts) {
    let base = Base::new();
    let library = Crate::new(&base, "new-cri", &["--role", "cri"]);
    let cluster = Cluster::new("cri");
    let library = library.build();
    let up = ["up", "--plugin", library, "--cri", "new-cri", "--addons", "none"];
    run_for(&mut cluster.command(&up), FIRST_BOOT_TIMEOUT).ok();
    let node = cluster.get(&["node", "node-0"]);
    let runtime = node["status"]["nodeInfo"]["containerRuntimeVersion"].as_str().unwrap_or_default();
    assert!(runtime.starts_with("containerd://2."), "{runtime}");

    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    cluster.apply(&pod("main", "sleep 3600", &json!({})));
    alive(&cluster, "main");
    cluster.run(&["stop"]).ok();
    cluster.up(&["--plugin", library]).ok();
    alive(&cluster, "main");
    let images = cluster.json(&["image", "list"]).to_string();
    assert!(images.contains(IMAGE), "{images}");

    // Replaces the runtime by another one and back. The kubelet, the pod and the API stay.
    for (name, version) in [("crio", "cri-o://"), ("new-cri", "containerd://")] {
        cluster.run(&["component", "replace", "cri", name]).ok();
        cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
        until("node with the other runtime", TIMEOUT, || {
            let runtime = cluster.get(&["node", "node-0"])["status"]["nodeInfo"]["containerRuntimeVersion"].clone();
            if runtime.as_str().is_some_and(|it| it.starts_with(version)) { Ok(()) } else { Err(runtime.to_string()) }
        });
        alive(&cluster, "main");
    }
}

fn a_new_runtime_passes_the_live_checks(_: Parts) {
    let base = Base::new();
    let library = Crate::new(&base, "live-cri", &["--role", "cri"]);
    let mut check = kubernix();
    check.args(["plugin", "check", "--live", library.build()]);
    run_for(&mut check, FIRST_BOOT_TIMEOUT).ok().prints(&["cri-nothing-left", " passed, 0 failed", "it conforms"]);
}

fn every_role_has_a_template_that_builds(_: Parts) {
    let base = Base::new();
    let library = Crate::new(&base, "new-proxy", &["--role", "proxy"]);
    let library = library.build();
    let mut plan = kubernix();
    plan.args(["plan", "--plugin", library, "--set", "proxy=new-proxy", "--output", "json"]);
    let plan = run_for(&mut plan, TIMEOUT).ok();
    assert!(plan.stdout.contains("new-proxy"), "{}", plan.stdout);
}

fn invalid_names_are_rejected_without_output(_: Parts) {
    let base = Base::new();
    let refuse = |args: &[&str], why: &str| {
        let mut new = kubernix();
        new.current_dir(base.path()).args(["plugin", "new"]).args(args);
        run_for(&mut new, TIMEOUT).exits(2).says(&[why]);
    };
    refuse(&["Hello"], "a-z, 0-9 and -");
    refuse(&["impl"], "a reserved word of Rust");
    refuse(&["etcd"], "KuberNix uses that name already");
    refuse(&["hello", "--role", "sandbox"], "only KuberNix itself");
    std::fs::create_dir(base.path().join("there")).expect("a directory");
    refuse(&["there"], "exists already");
    let left: Vec<_> = std::fs::read_dir(base.path()).expect("a directory").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["there"]);
}
