//! Finds processes that have a cluster's root directory open, and so may hold its lock.

use super::process::{self, Pidfd};
use crate::cluster_dir::ClusterDir;
use crate::proc_stat::{self, Stat};
use nix::sys::signal::Signal;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A process that has the directory open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pid: i32,
    /// Its command name (proc_pid_comm(5)).
    name: String,
}

/// The processes of this user that have a root directory open, except the calling one.
pub fn of(root: &ClusterDir) -> Vec<Holder> {
    let Ok(directory) = fs::metadata(root.path()) else { return Vec::new() };
    let own = std::process::id().cast_signed();
    let has_it_open = |pid: &i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::metadata(entry.path()).ok())
            .any(|found| (found.dev(), found.ino()) == (directory.dev(), directory.ino()))
    };
    process::own().filter(|pid| *pid != own).filter(has_it_open).map(Holder::of).collect()
}

impl Holder {
    fn of(pid: i32) -> Self {
        Self { pid, name: proc_stat::name(pid).unwrap_or_default() }
    }

    /// Kills a KuberNix command that was stopped (Ctrl-Z, SIGSTOP) while it held the lock, such as
    /// an `up` before its boot. A running command ends by itself.
    pub fn end_if_stopped(&self) {
        let Some(process) = Pidfd::open(self.pid) else { return };
        if is_same_program(self.pid) && Stat::of(self.pid).is_ok_and(Stat::is_stopped) {
            process.signal(Signal::SIGKILL);
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, {}", self.name, process::described(self.pid))
    }
}

/// Whether a process runs the same program as this one. Compares the file names, because the file
/// may have been replaced.
fn is_same_program(pid: i32) -> bool {
    program_name(&pid.to_string()).is_some_and(|name| Some(name) == program_name("self"))
}

/// The file name of the program of `/proc/PROCESS`.
fn program_name(process: &str) -> Option<String> {
    let path = fs::read_link(format!("/proc/{process}/exe")).ok()?;
    Some(path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    #[allow(clippy::disallowed_methods)] // No process of a cluster's.
    fn a_process_that_has_the_directory_open_is_found() {
        let base = tempfile::tempdir().unwrap();
        let root = ClusterDir::at(base.path().join("one"));
        fs::create_dir(root.path()).unwrap();
        assert_eq!(of(&root), []);
        let directory = File::open(root.path()).unwrap();
        let mut child = std::process::Command::new("/bin/sleep").arg("60").stdin(directory).spawn().unwrap();
        let pid = child.id().cast_signed();
        // Between fork and exec, it has the name of the test.
        while Holder::of(pid).name != "sleep" {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let found = of(&root);
        assert_eq!(found, [Holder { pid, name: "sleep".into() }]);
        assert!(is_same_program(std::process::id().cast_signed()) && !is_same_program(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of(&root), []);
    }
}
