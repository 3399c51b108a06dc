//! Which processes carry a sandbox, told apart from later ones that got the same number.

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

/// A process: its number, and when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number, in the host's PID namespace.
    pub pid: i32,
    /// Clock ticks after the machine's boot: field 22 of proc_pid_stat(5).
    pub started: u64,
}

impl ProcessId {
    /// The process that has this number now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self { pid: pid.as_raw(), started: Stat::of(pid.as_raw())?.started })
    }

    /// What the kernel says of it, if it still exists.
    fn stat(self) -> Option<Stat> {
        Stat::of(self.pid).ok().filter(|stat| stat.started == self.started && !stat.has_ended())
    }

    /// Whether it still exists; one that has ended but wasn't waited for yet doesn't.
    pub fn is_alive(self) -> bool {
        self.stat().is_some()
    }

    /// How long ago it began; `None` where there is no `/proc`.
    pub fn age(self) -> Option<Duration> {
        let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
        let ticks = u32::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        let started = Duration::from_millis(self.started.saturating_mul(1000) / u64::from(ticks));
        Some(Duration::try_from_secs_f64(uptime).ok()?.saturating_sub(started))
    }

    /// Whether it exists and doesn't run, because of a signal or a debugger.
    pub fn is_stopped(self) -> bool {
        self.stat().is_some_and(Stat::is_stopped)
    }

    /// Sends it a signal, if it still exists.
    pub fn signal(self, signal: Signal) {
        // The descriptor is of one process. Only if that is the one that is meant, its number still
        // is.
        if let Some(process) = Pidfd::open(self.pid).filter(|_| self.is_alive()) {
            process.signal(signal);
        }
    }
}

/// The two processes that carry a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxIds {
    /// In the host's namespaces.
    pub keeper: ProcessId,
    /// PID 1 inside.
    pub init: ProcessId,
}

impl SandboxIds {
    /// `run/sandbox.json`.
    pub fn path(root: &ClusterDir) -> PathBuf {
        root.run().join("sandbox.json")
    }

    /// Those of a root directory, if they were written down and the init is alive.
    pub fn read(root: &ClusterDir) -> Option<Self> {
        let ids: Self = serde_json::from_slice(&std::fs::read(Self::path(root)).ok()?).ok()?;
        ids.init.is_alive().then_some(ids)
    }

    /// As [`SandboxIds::read`]; where that file is lost, among the processes of the host.
    pub fn find(root: &ClusterDir) -> Option<Self> {
        Self::read(root).or_else(|| lock::is_taken(root).then(|| Self::among(&carriers::of(root))).flatten())
    }

    /// Those of a cluster with these carriers, if both run.
    pub fn among(carriers: &[Carrier]) -> Option<Self> {
        let one = |part| {
            let carrier = carriers.iter().find(|carrier| carrier.part == part)?;
            ProcessId::of(Pid::from_raw(carrier.pid)).ok()
        };
        Some(Self { keeper: one(Part::Keeper)?, init: one(Part::Init)? })
    }

    /// Forgets those of an earlier life. The caller holds the lock.
    pub fn forget(root: &ClusterDir) {
        // There are none at most times.
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
    fn a_process_with_the_same_number_but_another_start_is_another() {
        let own = ProcessId::of(Pid::this()).unwrap();
        assert!(own.is_alive() && !own.is_stopped());
        assert!(own.age().unwrap() < Duration::from_secs(24 * 60 * 60), "tests don't run for a day");
        assert!(!ProcessId { started: own.started + 1, ..own }.is_alive());
    }
}
