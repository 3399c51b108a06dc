//! Injects errors of process starts and file writes. Some are real: a missing binary, a binary that
//! is open for writing, a full disk. A library loaded before libc injects the others.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster, REMOVAL_TIMEOUT};
use super::remains::remains;
use super::suite::{Cases, Options, attempt, library};
use kubernix_tests::faults::rules::{Rule, Rules};
use kubernix_tests::{
    Background, Outcome, Snapshot, copy_environment, for_none, free_port, program, run_for, until, working_instance,
};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The name in `--faults` of the part with binaries that can't be started for a while.
pub const BINARIES: &str = "binary";
/// The name in `--faults` of the part with failing calls.
pub const CALLS: &str = "call";
/// The name in `--faults` of the part with a full disk.
pub const DISK: &str = "disk";

/// The time for which a binary is missing or being written, as by a build.
const WRITE_TIME: Duration = Duration::from_secs(4);

/// Removes or overwrites a component's binary while the component is restarted.
pub fn binaries_are_missing_or_busy() -> Result<(), String> {
    let mut checked = CheckedCluster::new("binary");
    checked.up().ok();
    checked.create_objects();
    let (real, own) = (binary_of(&checked, "scheduler"), checked.cluster.base().join("scheduler"));
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
    fs::write(&own, text).expect("a script");
    fs::set_permissions(&own, Permissions::from_mode(0o755)).expect("an executable");
    let set = format!("scheduler.binary={}", own.display());
    checked.cluster.run(&["component", "replace", "--set", &set]).ok();

    let mut all = Cases::new(BINARIES);
    all.case(0, "ENOENT: the binary is moved away and back", || {
        repair(&checked, "scheduler");
        let away = own.with_extension("away");
        fs::rename(&own, &away).expect("it can be moved");
        kill_component(&checked, "scheduler");
        sleep(WRITE_TIME);
        fs::rename(&away, &own).expect("it can be moved back");
        (1, Some(checked.wait_until_healthy()))
    });
    all.case(1, "ETXTBSY: the binary is open for writing", || {
        repair(&checked, "scheduler");
        let writer = File::options().append(true).open(&own).expect("it can be written");
        kill_component(&checked, "scheduler");
        sleep(WRITE_TIME);
        drop(writer);
        (1, Some(checked.wait_until_healthy()))
    });
    all.case(2, "ENOEXEC: the binary is half written", || {
        repair(&checked, "scheduler");
        let whole = fs::read(&own).expect("a script");
        fs::write(&own, b"\x7fELF").expect("half a program");
        kill_component(&checked, "scheduler");
        sleep(WRITE_TIME);
        fs::write(&own, whole).expect("the whole program");
        (1, Some(checked.wait_until_healthy()))
    });
    all.case(3, "`stop` and `up` restore the same cluster", || {
        repair(&checked, "scheduler");
        checked.check_stop_and_up();
        (0, None)
    });
    checked.down();
    all.end()
}

/// The program of a component's process, from procfs.
fn binary_of(checked: &CheckedCluster, component: &str) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", pid(checked, component))).expect("a process that runs")
}

fn pid(checked: &CheckedCluster, component: &str) -> Pid {
    until(&format!("{component} that runs"), COMMAND_TIMEOUT, || {
        let status = checked.status().1;
        let ready = working_instance(&status, component).filter(|(instance, _)| instance["state"] == "ready");
        ready.map(|(_, pid)| pid).ok_or_else(|| status.to_string())
    })
}

/// Restores a component that an earlier case left broken, so that cases are independent.
fn repair(checked: &CheckedCluster, component: &str) {
    let state = checked.status().1["state"].clone();
    if state == "stopped" {
        checked.up().ok();
    } else if state != "running" {
        checked.cluster.run(&["component", "replace", component, component]).ok();
    }
}

fn kill_component(checked: &CheckedCluster, component: &str) {
    kill(pid(checked, component), Signal::SIGKILL).expect("it is there");
}

/// The operation during which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum During {
    Boot,
    Change,
    Restart,
}

/// The path of the cluster's root directory inside a sandbox.
const INSIDE: &str = "/var/lib/kubernix-cluster";
/// Stands for all paths in the cluster's root directory.
const ROOT: &str = "ROOT";

/// A call, the paths for which it fails, its error as number and text, and the operations during
/// which it fails.
type Kind<'a> = (&'a str, &'a str, (i32, &'a str), &'a [During]);

/// The calls that fail in the command, the keeper and the init, with the expected error text.
fn failing(root: &Path) -> Vec<(Rule, &'static str, During)> {
    use During::{Boot, Change, Restart};
    const AGAIN: (i32, &str) = (libc::EAGAIN, "Resource temporarily unavailable");
    const BUSY: (i32, &str) = (libc::ETXTBSY, "Text file busy");
    const FULL: (i32, &str) = (libc::ENOSPC, "No space left on device");
    const BROKEN: (i32, &str) = (libc::EIO, "Input/output error");
    let kinds: [Kind<'_>; 9] = [
        ("spawn", "*", AGAIN, &[Boot, Change, Restart]),
        ("spawn", "*", BUSY, &[Boot, Change, Restart]),
        // Only our own processes are started by fork.
        ("fork", "*", AGAIN, &[Boot]),
        ("open", ROOT, FULL, &[Boot, Change, Restart]),
        ("open", ROOT, BROKEN, &[Boot, Change, Restart]),
        ("write", ROOT, FULL, &[Boot, Change, Restart]),
        ("rename", ROOT, BROKEN, &[Boot, Change, Restart]),
        ("sync", ROOT, BROKEN, &[Boot, Change]),
        ("mkdir", ROOT, FULL, &[Boot]),
    ];
    let mut all = Vec::new();
    for (call, glob, (errno, error), moments) in kinds {
        for during in moments {
            // A restart makes few calls. A boot makes many, and not always the first ones should
            // fail.
            let permille = if *during == Restart { 1000 } else { 300 };
            // The command uses the path on the host, the init the fixed path in the sandbox.
            let seen = if *during == During::Boot { format!("{}*", root.display()) } else { format!("{INSIDE}*") };
            let glob = if glob == ROOT { seen } else { glob.to_owned() };
            all.push((Rule { call, glob, errno, permille, count: 3 }, error, *during));
        }
    }
    all
}

/// Checks that a command succeeded or that its message has one of these errors.
fn check_error(checked: &CheckedCluster, outcome: &Outcome, errors: &[&str]) {
    checked.check_outcome(outcome);
    let Outcome { what, code, stderr, .. } = outcome;
    let reported = errors.iter().any(|error| stderr.contains(error));
    assert!(*code == 0 || reported, "{what} failed with {code} without reporting one of {errors:?}:\n{stderr}");
}

/// Whether the cluster runs and its init has loaded the library.
fn has_library(checked: &CheckedCluster) -> bool {
    let status = checked.status().1;
    let environment = status["own_pids"][1].as_i64().map(|init| fs::read(format!("/proc/{init}/environ")));
    let environment = environment.and_then(Result::ok).unwrap_or_default();
    status["state"] != "stopping" && String::from_utf8_lossy(&environment).contains("FAULT_RULES=")
}

/// Lets calls fail while a cluster boots, changes and restarts a component.
pub fn calls_fail() -> Result<(), String> {
    let options = Options::get();
    let mut checked = CheckedCluster::new("call");
    let failing = failing(&checked.cluster.root());
    let plain: Vec<Rule> = failing.iter().map(|(rule, ..)| rule.clone()).collect();
    let rules = Rules::write(checked.cluster.base().join("rules"), options.seed, &plain);
    let library = library();
    let run_with = |command: &mut Command| run_for(rules.apply(command, &library), COMMAND_TIMEOUT);
    let mut all = Cases::new(CALLS);

    let mut chosen: Vec<usize> = (0..failing.len()).collect();
    if !options.long && !options.replays() {
        options.rng(CALLS).shuffle(&mut chosen);
        chosen.truncate(10);
    }
    // Boots first, each of a cluster that doesn't exist yet.
    chosen.sort_by_key(|index| (failing[*index].2, *index));
    for index in chosen {
        let (rule, error, during) = &failing[index];
        all.case(index, format!("{} fails with `{error}` during {during:?}", rule.call), || {
            if *during != During::Boot {
                // A fault of an earlier case may have ended the cluster, and then `up` without the
                // library continued it.
                if !has_library(&checked) {
                    checked.cluster.run(&["stop"]);
                    run_with(&mut checked.up_command()).ok();
                }
                if !checked.has_objects() {
                    checked.create_objects();
                }
                repair(&checked, "scheduler");
            }
            let before = rules.hits();
            rules.arm(index);
            let done = attempt(|| match during {
                During::Boot => check_error(&checked, &run_with(&mut checked.up_command()), &[error]),
                During::Change => {
                    let port = format!("127.0.0.1:{}:30084", free_port());
                    let changes = [&["port", "add", &port][..], &["component", "replace", "scheduler", "scheduler"]];
                    for change in changes {
                        check_error(&checked, &run_with(&mut checked.cluster.command(change)), &[error]);
                    }
                }
                During::Restart => {
                    kill_component(&checked, "scheduler");
                    // Earlier cases have increased the back-off, up to thirty seconds.
                    until("call that fails", Duration::from_secs(60), || {
                        if rules.hits() > before { Ok(()) } else { Err("no call failed".to_owned()) }
                    });
                }
            });
            rules.disarm();
            let hits = rules.hits() - before;
            if let Err(why) = done {
                panic!("{why}");
            }
            if *during == During::Boot {
                checked.destroy();
                checked.check_nothing_runs();
                return (hits, None);
            }
            assert!(*during != During::Restart || hits > 0, "no call failed: the library doesn't reach the init");
            let healed = checked.check_recovery();
            checked.check_consistency();
            (hits, Some(healed))
        });
    }
    let last = failing.len();
    all.case(last, "`stop` and `up` restore the same cluster", || {
        if checked.has_objects() {
            repair(&checked, "scheduler");
            checked.check_stop_and_up();
            checked.down();
        }
        (0, None)
    });
    all.end()
}

/// A separate file system, visible only to commands in its mount namespace.
struct Disk {
    holder: Background,
    place: PathBuf,
}

impl Disk {
    fn new(checked: &CheckedCluster, size: &str) -> Self {
        let place = checked.cluster.base().to_owned();
        let output = place.with_extension("holder");
        let script =
            format!("mount -t tmpfs -o size={size} tmpfs '{}' && echo mounted && exec sleep 3600", place.display());
        let mut unshare = program("unshare");
        let holder = Background::start(unshare.args(["--mount", "/bin/sh", "-c", &script]), output.clone());
        holder.prints("file system", |text| text.contains("mounted").then_some(()));
        // The process that holds the namespace keeps it open.
        let _ = fs::remove_file(output);
        Self { holder, place }
    }

    /// Runs a command in the mount namespace of the disk.
    fn run(&self, command: &Command) -> Outcome {
        let mut inside = program("nsenter");
        inside.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.pid())).arg(command.get_program());
        inside.args(command.get_args()).current_dir("/");
        copy_environment(command, &mut inside);
        run_for(&mut inside, COMMAND_TIMEOUT)
    }

    fn shell(&self, script: &str) -> Outcome {
        let mut sh = program("/bin/sh");
        self.run(sh.args(["-c", script]))
    }

    fn fill(&self) {
        self.shell(&format!("cat /dev/zero > '{}/fill' 2> /dev/null; sync", self.place.display()));
    }

    fn free(&self) {
        self.shell(&format!("rm -f '{}/fill'", self.place.display())).ok();
    }
}

/// Fills the disk while a cluster changes, stops and starts.
pub fn a_disk_is_full() -> Result<(), String> {
    let checked = CheckedCluster::new("disk");
    let disk = Disk::new(&checked, "400m");
    let before = Snapshot::take(&checked.cluster.name, checked.cluster.base());
    disk.run(&checked.up_command()).ok();
    let on = |command: &[&str]| disk.run(&checked.cluster.command(command));
    on(&["kubectl", "--", "create", "configmap", "kept"]).ok();
    let well = || {
        let started = Instant::now();
        until("healthy cluster", COMMAND_TIMEOUT, || {
            let status = on(&["status", "--output", "json"]);
            let state = serde_json::from_str::<Value>(&status.stdout).unwrap_or_default()["state"].clone();
            if status.code == 0 && state == "running" { Ok(()) } else { Err(format!("{status:?}")) }
        });
        on(&["kubectl", "--", "get", "configmap", "kept"]).ok();
        started.elapsed()
    };
    let full = ["No space left on device", "is full"];
    let mut all = Cases::new(DISK);
    let port = format!("127.0.0.1:{}:30085", free_port());
    let changes: [&[&str]; 3] =
        [&["port", "add", &port], &["component", "replace", "scheduler", "scheduler"], &["node", "add"]];
    for (number, change) in changes.iter().enumerate().take(if Options::get().long { 3 } else { 2 }) {
        all.case(number, format!("the disk is full during `{}`", change.join(" ")), || {
            disk.fill();
            let outcome = on(change);
            disk.free();
            check_error(&checked, &outcome, &full);
            let healed = well();
            on(change).ok();
            (1, Some(healed))
        });
    }
    all.case(10, "the disk is full during `stop` and `up`", || {
        disk.fill();
        let stopped = on(&["stop"]);
        let up = disk.run(&checked.up_command());
        disk.free();
        check_error(&checked, &stopped, &full);
        check_error(&checked, &up, &full);
        if up.code != 0 {
            disk.run(&checked.up_command()).ok();
        }
        (1, Some(well()))
    });
    all.case(11, "the disk is full during `down`", || {
        disk.fill();
        on(&["down"]).ok();
        let left = disk.shell(&format!("ls -A '{}'", checked.cluster.base().display())).stdout;
        assert_eq!(left.trim(), "fill");
        for_none("removal of all that belonged to the cluster", REMOVAL_TIMEOUT, || remains(&before, &checked.cluster));
        (1, None)
    });
    // If a case failed, or `down` isn't among the repeated cases.
    disk.free();
    if disk.shell(&format!("test -d '{}'", checked.cluster.root().display())).code == 0 {
        on(&["down"]).ok();
    }
    all.end()
}
