//! Fills the disk of a cluster: a tmpfs in a mount namespace.

use super::invariants::{COMMAND_TIMEOUT, CheckedCluster, REMOVAL_TIMEOUT};
use super::remains::remains;
use super::suite::{Cases, Options};
use kubernix_tests::{Background, Outcome, Snapshot, copy_environment, for_none, free_port, program, run_for, until};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The name of this part in `--faults`.
pub const PART: &str = "disk";

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
    let mut all = Cases::new(PART);
    let port = format!("127.0.0.1:{}:30085", free_port());
    let changes: [&[&str]; 3] =
        [&["port", "add", &port], &["component", "replace", "scheduler", "scheduler"], &["node", "add"]];
    for (number, change) in changes.iter().enumerate().take(if Options::get().long { 3 } else { 2 }) {
        all.case(number, format!("the disk is full during `{}`", change.join(" ")), || {
            disk.fill();
            let outcome = on(change);
            disk.free();
            checked.check_error(&outcome, &full);
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
        checked.check_error(&stopped, &full);
        checked.check_error(&up, &full);
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
