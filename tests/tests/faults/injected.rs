//! Errors where processes are started and files are written. Those that can be made for real are: a
//! binary that is gone or open for writing, a disk that is full. The others come from a library
//! that is loaded before libc.

use super::law::{COMMAND, GONE, Law};
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

/// What `--faults` calls binaries that can't be started for a while.
pub const BINARIES: &str = "binary";
/// The same for calls that fail.
pub const CALLS: &str = "call";
/// The same for a disk that is full.
pub const DISK: &str = "disk";

/// How long a build takes to write a binary.
const BUILD: Duration = Duration::from_secs(4);

/// A component's binary is away, or being written, while the component has to be started again.
pub fn binaries_go_and_come() -> Result<(), String> {
    let mut law = Law::new("binary");
    law.up().ok();
    law.furnish();
    let (real, own) = (binary_of(&law, "scheduler"), law.cluster.base().join("scheduler"));
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.display());
    fs::write(&own, text).expect("a script");
    fs::set_permissions(&own, Permissions::from_mode(0o755)).expect("an executable");
    let set = format!("scheduler.binary={}", own.display());
    law.cluster.run(&["component", "replace", "--set", &set]).ok();

    let mut all = Cases::new(BINARIES);
    all.case(0, "ENOENT: the binary is moved away and back", || {
        repair(&law, "scheduler");
        let away = own.with_extension("away");
        fs::rename(&own, &away).expect("it can be moved");
        kill_component(&law, "scheduler");
        sleep(BUILD);
        fs::rename(&away, &own).expect("it can be moved back");
        (1, Some(law.healed()))
    });
    all.case(1, "ETXTBSY: the binary is open for writing", || {
        repair(&law, "scheduler");
        let writer = File::options().append(true).open(&own).expect("it can be written");
        kill_component(&law, "scheduler");
        sleep(BUILD);
        drop(writer);
        (1, Some(law.healed()))
    });
    all.case(2, "ENOEXEC: the binary is half written", || {
        repair(&law, "scheduler");
        let whole = fs::read(&own).expect("a script");
        fs::write(&own, b"\x7fELF").expect("half a program");
        kill_component(&law, "scheduler");
        sleep(BUILD);
        fs::write(&own, whole).expect("the whole program");
        (1, Some(law.healed()))
    });
    all.case(3, "all is as it was after a stop", || {
        repair(&law, "scheduler");
        law.comes_back();
        (0, None)
    });
    law.down();
    all.end()
}

/// The program that a component runs, by the link that the kernel keeps.
fn binary_of(law: &Law, component: &str) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", pid(law, component))).expect("a process that runs")
}

fn pid(law: &Law, component: &str) -> Pid {
    until(&format!("{component} that runs"), COMMAND, || {
        let status = law.status().1;
        let ready = working_instance(&status, component).filter(|(instance, _)| instance["state"] == "ready");
        ready.map(|(_, pid)| pid).ok_or_else(|| status.to_string())
    })
}

/// Makes a component run that an earlier case left broken, so that each case stands for itself.
fn repair(law: &Law, component: &str) {
    let state = law.status().1["state"].clone();
    if state == "stopped" {
        law.up().ok();
    } else if state != "running" {
        law.cluster.run(&["component", "replace", component, component]).ok();
    }
}

fn kill_component(law: &Law, component: &str) {
    kill(pid(law, component), Signal::SIGKILL).expect("it is there");
}

/// What goes on while calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum During {
    Boot,
    Change,
    Restart,
}

/// Where a sandbox sees its cluster's root directory.
const INSIDE: &str = "/var/lib/kubernix-cluster";
/// In place of a path: all of the cluster's root directory.
const ROOT: &str = "ROOT";

/// A call, the paths that it fails for, its error as a number and as users read it, and when it
/// fails.
type Kind<'a> = (&'a str, &'a str, (i32, &'a str), &'a [During]);

/// The calls that fail in the command, the keeper and the init, and what the user then has to read.
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
            // A restart makes few calls; of the many of a boot it isn't always the first ones that
            // fail.
            let permille = if *during == Restart { 1000 } else { 300 };
            // The command sees the root directory where it lies, the init at its fixed path.
            let seen = if *during == During::Boot { format!("{}*", root.display()) } else { format!("{INSIDE}*") };
            let glob = if glob == ROOT { seen } else { glob.to_owned() };
            all.push((Rule { call, glob, errno, permille, count: 3 }, error, *during));
        }
    }
    all
}

/// Fails unless a command worked, or says which error it met in one of these ways.
fn worked_or_said(law: &Law, outcome: &Outcome, errors: &[&str]) {
    law.is_no_accident(outcome);
    let Outcome { what, code, stderr, .. } = outcome;
    let said = errors.iter().any(|error| stderr.contains(error));
    assert!(*code == 0 || said, "{what} failed with {code} without saying one of {errors:?}:\n{stderr}");
}

/// Whether a cluster runs whose init loaded the library.
fn has_library(law: &Law) -> bool {
    let status = law.status().1;
    let environment = status["own_pids"][1].as_i64().map(|init| fs::read(format!("/proc/{init}/environ")));
    let environment = environment.and_then(Result::ok).unwrap_or_default();
    status["state"] != "stopping" && String::from_utf8_lossy(&environment).contains("FAULT_RULES=")
}

/// Calls fail while a cluster boots, changes and starts a component again.
pub fn calls_fail() -> Result<(), String> {
    let options = Options::get();
    let mut law = Law::new("call");
    let failing = failing(&law.cluster.root());
    let plain: Vec<Rule> = failing.iter().map(|(rule, ..)| rule.clone()).collect();
    let rules = Rules::write(law.cluster.base().join("rules"), options.seed, &plain);
    let library = library();
    let run_with = |command: &mut Command| run_for(rules.apply(command, &library), COMMAND);
    let mut all = Cases::new(CALLS);

    let mut chosen: Vec<usize> = (0..failing.len()).collect();
    if !options.long && !options.replays() {
        options.rng(CALLS).shuffle(&mut chosen);
        chosen.truncate(10);
    }
    // Boots first, each of a cluster that isn't there.
    chosen.sort_by_key(|index| (failing[*index].2, *index));
    for index in chosen {
        let (rule, error, during) = &failing[index];
        all.case(index, format!("{} fails with `{error}` during {during:?}", rule.call), || {
            if *during != During::Boot {
                // A fault of an earlier case may have ended it, and `up` without the library
                // continued it.
                if !has_library(&law) {
                    law.cluster.run(&["stop"]);
                    run_with(&mut law.up_command()).ok();
                }
                if !law.is_furnished() {
                    law.furnish();
                }
                repair(&law, "scheduler");
            }
            let before = rules.hits();
            rules.arm(index);
            let done = attempt(|| match during {
                During::Boot => worked_or_said(&law, &run_with(&mut law.up_command()), &[error]),
                During::Change => {
                    let port = format!("127.0.0.1:{}:30084", free_port());
                    let changes = [&["port", "add", &port][..], &["component", "replace", "scheduler", "scheduler"]];
                    for change in changes {
                        worked_or_said(&law, &run_with(&mut law.cluster.command(change)), &[error]);
                    }
                }
                During::Restart => {
                    kill_component(&law, "scheduler");
                    // After earlier cases the pause before a start has grown, to thirty seconds at
                    // most.
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
                law.end();
                law.nothing_runs();
                return (hits, None);
            }
            assert!(*during != During::Restart || hits > 0, "no call failed: the library doesn't reach the init");
            let healed = law.carries_on();
            law.agrees();
            (hits, Some(healed))
        });
    }
    let last = failing.len();
    all.case(last, "all is as it was after a stop", || {
        if law.is_furnished() {
            repair(&law, "scheduler");
            law.comes_back();
            law.down();
        }
        (0, None)
    });
    all.end()
}

/// A file system of its own, which only commands that are run in its namespace see.
struct Disk {
    holder: Background,
    place: PathBuf,
}

impl Disk {
    fn new(law: &Law, size: &str) -> Self {
        let place = law.cluster.base().to_owned();
        let output = place.with_extension("holder");
        let script =
            format!("mount -t tmpfs -o size={size} tmpfs '{}' && echo mounted && exec sleep 3600", place.display());
        let mut unshare = program("unshare");
        let holder = Background::start(unshare.args(["--mount", "/bin/sh", "-c", &script]), output.clone());
        holder.prints("file system", |text| text.contains("mounted").then_some(()));
        // It stays open in the holder.
        let _ = fs::remove_file(output);
        Self { holder, place }
    }

    /// Runs a command where the disk is.
    fn run(&self, command: &Command) -> Outcome {
        let mut inside = program("nsenter");
        inside.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.pid())).arg(command.get_program());
        inside.args(command.get_args()).current_dir("/");
        copy_environment(command, &mut inside);
        run_for(&mut inside, COMMAND)
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

/// A disk that is full while a cluster changes, stops and starts.
pub fn a_disk_is_full() -> Result<(), String> {
    let law = Law::new("disk");
    let disk = Disk::new(&law, "400m");
    let before = Snapshot::take(&law.cluster.name, law.cluster.base());
    disk.run(&law.up_command()).ok();
    let on = |command: &[&str]| disk.run(&law.cluster.command(command));
    on(&["kubectl", "--", "create", "configmap", "kept"]).ok();
    let well = || {
        let begun = Instant::now();
        until("cluster that is well again", COMMAND, || {
            let status = on(&["status", "--output", "json"]);
            let state = serde_json::from_str::<Value>(&status.stdout).unwrap_or_default()["state"].clone();
            if status.code == 0 && state == "running" { Ok(()) } else { Err(format!("{status:?}")) }
        });
        on(&["kubectl", "--", "get", "configmap", "kept"]).ok();
        begun.elapsed()
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
            worked_or_said(&law, &outcome, &full);
            let healed = well();
            on(change).ok();
            (1, Some(healed))
        });
    }
    all.case(10, "the disk is full during `stop` and `up`", || {
        disk.fill();
        let stopped = on(&["stop"]);
        let up = disk.run(&law.up_command());
        disk.free();
        worked_or_said(&law, &stopped, &full);
        worked_or_said(&law, &up, &full);
        if up.code != 0 {
            disk.run(&law.up_command()).ok();
        }
        (1, Some(well()))
    });
    all.case(11, "the disk is full during `down`", || {
        disk.fill();
        on(&["down"]).ok();
        let left = disk.shell(&format!("ls -A '{}'", law.cluster.base().display())).stdout;
        assert_eq!(left.trim(), "fill");
        for_none("end of all that a cluster was", GONE, || remains(&before, &law.cluster));
        (1, None)
    });
    // Where a case failed, or `down` wasn't among those that are played again.
    disk.free();
    if disk.shell(&format!("test -d '{}'", law.cluster.root().display())).code == 0 {
        on(&["down"]).ok();
    }
    all.end()
}
