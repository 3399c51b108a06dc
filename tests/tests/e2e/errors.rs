//! Tests errors: each has a clear message and its exit code, and leaves nothing behind.

use kubernix_testkit::report_skip;
use kubernix_tests::{
    Base, Cluster, ISOLATED, Outcome, Parts, SHARED, Snapshot, Test, checks, copy_environment, kubernix, once, program,
    run, unfit_for_mounts, until,
};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    // They compare network and mounts before and after.
    let of_host = checks![
        up_requires_root,
        invalid_cidrs_are_rejected,
        unknown_names_suggest_the_nearest,
        invalid_configuration_is_reported_with_line_and_column,
        a_root_directory_may_have_a_long_path,
        root_directories_below_run_are_rejected,
        a_taken_port_is_reported_with_its_process,
        unusable_binaries_are_rejected,
        a_process_that_exits_at_start_fails_the_boot,
        a_boot_timeout_names_the_unready_components,
        a_read_only_root_is_reported,
        a_full_disk_is_reported,
        commands_reject_an_unknown_cluster,
        foreign_root_directories_are_rejected,
    ];
    let of_build = checks![an_interrupted_build_leaves_no_partial_files];
    [once(SHARED, &of_build), once(ISOLATED, &of_host)].concat()
}

/// The changes on the host without cgroups: those of other clusters change meanwhile, and no
/// cluster here has any.
fn changes(before: &Snapshot, cluster: &Cluster) -> Vec<String> {
    cluster.changes_since(before, "no-id")
}

/// Runs a command that has to fail and leave nothing, not even a directory.
#[track_caller]
fn refused(cluster: &Cluster, command: &mut Command, code: i32, parts: &[&str]) -> Outcome {
    let before = (Snapshot::take(&cluster.name, cluster.base()), names(cluster.base()));
    let outcome = run(command).exits(code).says(parts);
    assert_eq!(changes(&before.0, cluster), Vec::<String>::new(), "{outcome:?}");
    assert_eq!(before.1, names(cluster.base()), "{outcome:?}");
    outcome
}

/// Runs an `up` that has to fail and leave nothing.
#[track_caller]
fn up_is_rejected(settings: &[&str], code: i32, parts: &[&str]) {
    let cluster = Cluster::new("refused");
    refused(&cluster, &mut cluster.command(&[&["up"], settings].concat()), code, parts);
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect();
    names.sort();
    names
}

/// Creates an executable script.
fn script(directory: &Path, name: &str, text: &str) -> String {
    let (text, path) = (format!("#!/bin/sh\n{text}\n"), directory.join(name));
    // A shell writes it: if this process did, a child that another test forks meanwhile could
    // inherit the open file, and the script couldn't be run (ETXTBSY).
    let mut write = program("/bin/sh");
    run(write.args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", &text]).arg(&path)).ok();
    path.to_string_lossy().into_owned()
}

/// An etcd script that prints the right version, or else runs `text`.
fn etcd(directory: &Path, text: &str) -> String {
    let text = format!("if [ \"$1\" = --version ]; then echo 'etcd Version: 3.6.14'; exit; fi\n{text}");
    format!("etcd.binary={}", script(directory, "etcd", &text))
}

fn an_interrupted_build_leaves_no_partial_files(_: Parts) {
    let (cluster, cache) = (Cluster::new("build"), Base::new());
    let boot = cluster.start_up(&["--cache-dir", &cache.path().to_string_lossy()]);
    let unfinished = || {
        let tools = fs::read_dir(cache.path().join("toolchain")).into_iter().flatten().flatten();
        tools.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.contains(".build-"))
    };
    until("a build", Duration::from_secs(60), || unfinished().next().ok_or_else(|| "no build has started".to_owned()));
    boot.signal(Signal::SIGINT);
    boot.wait().exits(130).says(&["interrupted"]);
    assert_eq!(unfinished().collect::<Vec<_>>(), Vec::<String>::new());
    assert!(!cluster.root().exists());
}

fn up_requires_root(_: Parts) {
    let (cluster, place) = (Cluster::new("unprivileged"), Base::new());
    // The other user has to be able to read it.
    let binary = place.path().join("kubernix");
    fs::copy(kubernix().get_program(), &binary).expect("a copy");
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).expect("a directory for all");
    let unprivileged = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut up = program("setpriv");
    up.args(unprivileged).arg(&binary).args(["up", "--root"]).arg(cluster.base()).env("HOME", "/nonexistent");
    refused(&cluster, up.current_dir("/"), 8, &["`up` needs root", "sudo"]);
}

fn invalid_cidrs_are_rejected(_: Parts) {
    up_is_rejected(&["--cidr", "10.10.0.0"], 2, &["`10.10.0.0` is not an IPv4 CIDR", "10.10.0.0/16"]);
    up_is_rejected(&["--cidr", "fd00::/64"], 2, &["`fd00::/64` is not an IPv4 CIDR"]);
    up_is_rejected(&["--cidr", "10.10.0.0/28"], 2, &["`10.10.0.0/28` is too small", "/24"]);
    up_is_rejected(&["--cidr", "127.0.0.0/16"], 2, &["`127.0.0.0/16` overlaps `127.0.0.0/8`", "loopback"]);
    up_is_rejected(&["--cidr", "10.10.1.0/16"], 2, &["host bits", "10.10.0.0/16"]);
}

fn unknown_names_suggest_the_nearest(_: Parts) {
    up_is_rejected(&["--set", "cri=cryo"], 2, &["unknown component `cryo`", "did you mean `crio`?"]);
    up_is_rejected(&["--cri", "cryo"], 2, &["--cri", "unknown component `cryo`", "did you mean `crio`?"]);
    up_is_rejected(&["--set", "datastor=etcd"], 2, &["unknown role `datastor`", "did you mean `datastore`?"]);
    up_is_rejected(&["--set", "crio.storag=vfs"], 2, &["unknown parameter `storag`", "did you mean"]);
    up_is_rejected(&["--set", "etdc.binary=/x"], 2, &["unknown component `etdc`", "did you mean `etcd`?"]);
    up_is_rejected(&["--set", "cri=etcd"], 2, &["`etcd` can't fill the slot `cri`"]);
    up_is_rejected(&["--set", "nonsense"], 2, &["nonsense"]);
    up_is_rejected(&["--set", "datastore=none"], 2, &["datastore"]);
    let cluster = Cluster::new("usage");
    refused(&cluster, &mut cluster.command(&["upp"]), 2, &["upp", "up"]);
    refused(&cluster, &mut cluster.command(&["up", "--cidrr", "x"]), 2, &["--cidrr", "--cidr"]);
    refused(&cluster, kubernix().args(["up", "--name", "Not_A_Label"]), 2, &["Not_A_Label"]);
}

fn invalid_configuration_is_reported_with_line_and_column(_: Parts) {
    let place = Base::new();
    let file = place.path().join("kubernix.toml");
    let path = file.to_string_lossy();
    for (text, at, part) in [
        ("port = 6443\ncidr = \"10.10.0.0/16\n", "2:", "kubernix.toml"),
        ("[slots]\ncri = 7\n", "2:7", "a component's name in quotes"),
        ("cidr = \"10.10.0.0/30\"\n", "1:8", "too small"),
        ("\n\n  cdir = \"10.10.0.0/16\"\n", "3:3", "did you mean `cidr`?"),
    ] {
        fs::write(&file, text).expect("a file");
        up_is_rejected(&["--config", &path], 2, &[&format!("{path}:{at}"), part]);
    }
    up_is_rejected(&["--config", "/nonexistent.toml"], 2, &["/nonexistent.toml"]);
}

fn a_root_directory_may_have_a_long_path(_: Parts) {
    let cluster = Cluster::new("long");
    let long = cluster.base().join("l".repeat(110));
    let of = |command: &[&str]| {
        let mut kubernix = kubernix();
        kubernix.args(command).args(["--name", &cluster.name, "--root"]).arg(&long);
        run(&mut kubernix)
    };
    of(&["up", "--addons", "none"]).ok();
    of(&["status"]).ok().prints(&["running"]);
    of(&["down"]).ok();
    assert!(!long.join(&cluster.name).exists());
}

fn root_directories_below_run_are_rejected(_: Parts) {
    let cluster = Cluster::new("replaced");
    let link = cluster.base().join("link");
    std::os::unix::fs::symlink("/run", &link).expect("a link");
    let link = link.to_string_lossy();
    for root in ["/run/kxt", "/usr/../run/kxt", &link, &format!("{link}/kxt"), &format!("{link}/../run/kxt")] {
        let mut up = kubernix();
        refused(&cluster, up.args(["up", "--name", &cluster.name, "--root", root]), 2, &["`/run`", "--root"]);
    }
}

fn a_taken_port_is_reported_with_its_process(_: Parts) {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let process = format!("(process {}) has it", std::process::id());
    up_is_rejected(&["--port", &port], 1, &[&format!("port {port} of 127.0.0.1 can't be used"), &process, "--port"]);
}

fn unusable_binaries_are_rejected(_: Parts) {
    let place = Base::new();
    up_is_rejected(&["--set", "etcd.binary=/nonexistent/etcd"], 3, &["/nonexistent/etcd doesn't exist"]);
    let plain = place.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("a file");
    let set = format!("etcd.binary={}", plain.display());
    up_is_rejected(&["--set", &set], 3, &["etcd", "plain isn't executable", "chmod +x"]);
    let old = script(place.path(), "old", "echo 'etcd Version: 3.4.30'");
    up_is_rejected(&["--set", &format!("etcd.binary={old}")], 3, &["has version 3.4.30, but 3.6 is required"]);
    let mute = script(place.path(), "mute", "exit 1");
    up_is_rejected(&["--set", &format!("etcd.binary={mute}")], 3, &["etcd", "mute", "any-version"]);
    // All problems are reported at once.
    let sets = ["etcd.binary=/nonexistent/a", "kubelet.binary=/nonexistent/b"];
    up_is_rejected(&["--set", sets[0], "--set", sets[1]], 3, &["/nonexistent/a", "/nonexistent/b"]);
    // With an empty PATH and no cache, one error lists all missing tools.
    let (cluster, empty) = (Cluster::new("bare"), place.path().join("empty"));
    let mut up = cluster.command(&["up", "--no-install", "--cache-dir", &empty.to_string_lossy()]);
    refused(&cluster, up.env("PATH", &empty), 3, &["kube-apiserver", "conmon", "etcd", "tools are missing"]);
}

/// Runs an `up` that fails in the sandbox: its logs are kept, the rest is removed, and `down`
/// removes the logs.
#[track_caller]
fn boot_fails(settings: &[&str], code: i32, parts: &[&str]) -> Outcome {
    let cluster = Cluster::new("broken");
    let before = Snapshot::take(&cluster.name, cluster.base());
    let outcome = cluster.up(settings).exits(code).says(parts);
    let id = cluster.id();
    assert_eq!(cluster.changes_since(&before, &id), Vec::<String>::new());
    outcome.clone().says(&["kubernix down", &cluster.root().to_string_lossy()]);
    cluster.run(&["down"]).ok();
    assert_eq!(names(cluster.base()), Vec::<PathBuf>::new());
    outcome
}

fn a_process_that_exits_at_start_fails_the_boot(_: Parts) {
    let place = Base::new();
    let exits = etcd(place.path(), "for n in $(seq -w 1 30); do echo \"complaint $n\"; done; exit 3");
    let parts = ["etcd failed to start", "exit status 3", "etcd.log", "complaint 11", "complaint 30"];
    let outcome = boot_fails(&["--set", &exits], 6, &parts);
    assert!(!outcome.stderr.contains("complaint 10"), "more than 20 lines:\n{}", outcome.stderr);
    let killed = etcd(place.path(), "kill -SEGV $$");
    boot_fails(&["--set", &killed], 6, &["etcd failed to start", "signal 11 (SIGSEGV)"]);
    // Another version is accepted with the setting that the error names.
    let old = script(place.path(), "old", "echo 'etcd Version: 3.4.30'");
    let settings = ["--set", &format!("etcd.binary={old}"), "--set", "etcd.any-version=true"];
    boot_fails(&settings, 6, &["etcd failed to start", "exit status 0", "etcd Version: 3.4.30"]);
}

fn a_boot_timeout_names_the_unready_components(_: Parts) {
    let place = Base::new();
    let text = "if [ \"$1\" = --version ]; then echo 'Kubernetes v1.36.3'; exit; fi; echo asleep; exec sleep 1000";
    let sleeps = format!("kubelet.binary={}", script(place.path(), "kubelet", text));
    let parts = ["not ready after 15 s", "kubelet (node 0)", "proxy (node 0)", "is not ready"];
    boot_fails(&["--set", &sleeps, "--boot-timeout", "15"], 7, &parts);
}

/// Runs `up` on its own file system in a mount namespace, and lists the remaining files on standard
/// output.
fn on_a_file_system(cluster: &Cluster, options: &str, settings: &[&str]) -> Outcome {
    let text = format!(
        "mount -t tmpfs -o {options} tmpfs '{base}' || exit 99\n\"$@\"\ncode=$?\nls -A '{base}'\nexit $code",
        base = cluster.base().display()
    );
    let up = cluster.command(&[&["up"], settings].concat());
    let mut command = program("unshare");
    command.args(["--mount", "/bin/sh", "-c", &text, "sh"]).arg(up.get_program()).args(up.get_args());
    copy_environment(&up, &mut command);
    let before = Snapshot::take(&cluster.name, cluster.base());
    let outcome = run(command.current_dir("/"));
    assert_eq!(changes(&before, cluster), Vec::<String>::new(), "{outcome:?}");
    outcome
}

fn a_read_only_root_is_reported(_: Parts) {
    if let Some(why) = unfit_for_mounts() {
        return report_skip("errors::a_root_that_is_read_only", why);
    }
    let cluster = Cluster::new("read-only");
    let outcome = on_a_file_system(&cluster, "ro", &[]).exits(1).says(&["Read-only file system", &cluster.name]);
    assert_eq!(outcome.stdout, "");
}

fn a_full_disk_is_reported(_: Parts) {
    if let Some(why) = unfit_for_mounts() {
        return report_skip("errors::a_disk_that_is_full", why);
    }
    let (cluster, place) = (Cluster::new("full"), Base::new());
    let outcome = on_a_file_system(&cluster, "size=64k", &[]).exits(1).says(&["No space left on device"]);
    assert_eq!(outcome.stdout, "", "{outcome:?}");
    let full = format!("The disk that holds {} is full", cluster.root().display());
    on_a_file_system(&cluster, "size=16m", &[]).exits(6).says(&["etcd failed to start", &full]);
    // There is enough space until a component fills the disk.
    let fill = format!("cat /dev/zero > '{}/fill'; exit 4", cluster.root().display());
    let greedy = etcd(place.path(), &fill);
    let settings = ["--set", &greedy, "--boot-timeout", "10"];
    let outcome = on_a_file_system(&cluster, "size=200m", &settings).exits(6).says(&["failed to start", &full]);
    assert_eq!(outcome.stdout.trim(), cluster.name, "the logs of a failed boot are kept");
}

fn commands_reject_an_unknown_cluster(_: Parts) {
    let cluster = Cluster::new("none");
    for command in ["status", "stop", "down", "shell", "enter", "kubectl", "timeline", "logs"] {
        refused(&cluster, &mut cluster.command(&[command]), 5, &["there is no cluster", &cluster.name]);
    }
    refused(&cluster, &mut cluster.command(&["image", "list"]), 5, &["there is no cluster"]);
    refused(&cluster, &mut cluster.command(&["image", "load", "/dev/null"]), 5, &["there is no cluster"]);
}

fn foreign_root_directories_are_rejected(_: Parts) {
    let cluster = Cluster::new("newer");
    fs::create_dir(cluster.root()).expect("a directory");
    let state = cluster.root().join("state.json");
    let text = r#"{ "format": 1000, "kubernix": "9.8.7", "created": "2030-01-01T00:00:00Z", "more": true }"#;
    fs::write(&state, text).expect("a file");
    let expected = ["was made by KuberNix 9.8.7", "format 1000"];
    refused(&cluster, &mut cluster.command(&["up"]), 2, &expected);
    refused(&cluster, &mut cluster.command(&["status"]), 1, &expected);
    assert_eq!(fs::read_to_string(&state).expect("a file"), text);
    // A foreign directory: it has no state.json.
    fs::rename(&state, cluster.root().join("precious")).expect("renamed");
    refused(&cluster, &mut cluster.command(&["up"]), 2, &["is not a cluster's root directory"]);
    refused(&cluster, &mut cluster.command(&["down"]), 2, &["is not a cluster's root directory"]);
    assert_eq!(fs::read_to_string(cluster.root().join("precious")).expect("a file"), text);
    // `down` removes the cluster of a newer version nevertheless.
    fs::rename(cluster.root().join("precious"), &state).expect("renamed");
    cluster.run(&["down"]).ok();
    assert!(!cluster.root().exists());
}
