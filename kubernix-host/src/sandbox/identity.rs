//! Which processes carry a sandbox, told apart from later ones that got the same number.

use super::names;
use crate::root::{Root, write_atomic};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

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
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The command's name, in parentheses, may contain anything; counting starts behind it.
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split_whitespace());
        let started = fields.and_then(|mut fields| fields.nth(19)?.parse().ok());
        started.map(|started| Self { pid: pid.as_raw(), started }).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether it still exists; one that has ended but wasn't waited for yet doesn't.
    pub fn is_alive(self) -> bool {
        let zombie = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
        };
        Self::of(Pid::from_raw(self.pid)).is_ok_and(|now| now == self) && !zombie()
    }

    /// Ends it with SIGKILL, if it still exists.
    pub fn kill(self) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
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
    pub fn path(root: &Root) -> PathBuf {
        root.run().join("sandbox.json")
    }

    /// Those of a root directory, if they were written down and the init is alive.
    pub fn read(root: &Root) -> Option<Self> {
        let ids: Self = serde_json::from_slice(&std::fs::read(Self::path(root)).ok()?).ok()?;
        ids.init.is_alive().then_some(ids)
    }

    /// Forgets those of an earlier life. The caller holds the lock.
    pub fn forget(root: &Root) {
        // There are none at most times.
        let _ = std::fs::remove_file(Self::path(root));
        let _ = std::fs::remove_file(root.control_socket());
    }

    pub(super) fn write(&self, root: &Root) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        if let Err(error) = write_atomic(&Self::path(root), &text, 0o600) {
            log::error!("{error}");
        }
    }
}

/// The name of the cluster that a process carries, by what it was started with; `None` for any other process.
pub fn cluster_carried_by(pid: i32) -> Option<String> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<&str> = command.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    match words[..] {
        [_, names::KEEPER | names::INIT, _, name, ..] => Some(name.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_the_same_number_but_another_start_is_another() {
        let own = ProcessId::of(Pid::this()).unwrap();
        assert!(own.is_alive());
        assert!(!ProcessId { started: own.started + 1, ..own }.is_alive());
    }

    #[test]
    fn a_process_that_carries_no_cluster_is_none_of_ours() {
        assert_eq!(cluster_carried_by(Pid::this().as_raw()), None);
        assert_eq!(cluster_carried_by(-1), None);
    }
}
