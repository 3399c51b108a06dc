//! Identifies the processes of a sandbox by PID and start time, because a PID may be reused.

use super::carriers::{self, Carrier, Part};
use super::lock;
use super::process::Pidfd;
use crate::cluster_dir::ClusterDir;
use crate::proc_stat::Stat;
use crate::write::write_atomic;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The identity of a process: its PID and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The PID in the host's PID namespace.
    pub pid: i32,
    /// The start time in clock ticks after the machine's boot: field 22 of proc_pid_stat(5).
    pub started: u64,
}

impl ProcessId {
    /// The process that has this PID now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self { pid: pid.as_raw(), started: Stat::of(pid.as_raw())?.started })
    }

    /// The process's state. `None` if the process has ended.
    fn stat(self) -> Option<Stat> {
        Stat::of(self.pid).ok().filter(|stat| stat.started == self.started && !stat.has_ended())
    }

    /// Whether it still runs. A zombie doesn't.
    pub fn is_alive(self) -> bool {
        self.stat().is_some()
    }

    /// The time since its start. `None` if `/proc` isn't mounted.
    pub fn age(self) -> Option<Duration> {
        let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
        let ticks = u32::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        let started = Duration::from_millis(self.started.saturating_mul(1000) / u64::from(ticks));
        Some(Duration::try_from_secs_f64(uptime).ok()?.saturating_sub(started))
    }

    /// Whether a signal or a debugger has stopped it.
    pub fn is_stopped(self) -> bool {
        self.stat().is_some_and(Stat::is_stopped)
    }

    /// Sends it a signal. Does nothing if it has ended.
    pub fn signal(self, signal: Signal) {
        // The descriptor refers to one process. Checking the identity afterwards shows that it is
        // the right one.
        if let Some(process) = Pidfd::open(self.pid).filter(|_| self.is_alive()) {
            process.signal(signal);
        }
    }
}

/// The two processes of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxIds {
    /// The process in the host's namespaces.
    pub keeper: ProcessId,
    /// PID 1 of the sandbox.
    pub init: ProcessId,
}

impl SandboxIds {
    /// The file `run/sandbox.json`.
    pub fn path(root: &ClusterDir) -> PathBuf {
        root.run().join("sandbox.json")
    }

    /// Reads the file. `None` if it is missing or the init has ended.
    pub fn read(root: &ClusterDir) -> Option<Self> {
        let ids: Self = serde_json::from_slice(&std::fs::read(Self::path(root)).ok()?).ok()?;
        ids.init.is_alive().then_some(ids)
    }

    /// Like [`SandboxIds::read`]. If the file is lost, searches the processes of the host.
    pub fn find(root: &ClusterDir) -> Option<Self> {
        Self::read(root).or_else(|| lock::is_taken(root).then(|| Self::among(&carriers::of(root))).flatten())
    }

    /// The processes of a cluster with these carriers. `None` if one of them is missing.
    pub fn among(carriers: &[Carrier]) -> Option<Self> {
        let one = |part| {
            let carrier = carriers.iter().find(|carrier| carrier.part == part)?;
            ProcessId::of(Pid::from_raw(carrier.pid)).ok()
        };
        Some(Self { keeper: one(Part::Keeper)?, init: one(Part::Init)? })
    }

    /// Removes the files of an earlier run. The caller holds the lock.
    pub fn forget(root: &ClusterDir) {
        // Usually there are none.
        let _ = std::fs::remove_file(Self::path(root));
        let _ = std::fs::remove_file(root.control_socket());
    }

    pub(super) fn write(&self, root: &ClusterDir) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        if let Err(error) = write_atomic(&Self::path(root), &text, 0o600) {
            log::error!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_the_same_pid_but_another_start_time_is_another_one() {
        let own = ProcessId::of(Pid::this()).unwrap();
        assert!(own.is_alive() && !own.is_stopped());
        assert!(own.age().unwrap() < Duration::from_secs(24 * 60 * 60), "tests don't run for a day");
        assert!(!ProcessId { started: own.started + 1, ..own }.is_alive());
    }
}
