//! Processes of the host in `/proc`, and signals by pidfd, which can't reach a later process with
//! the same PID.

use crate::proc_stat::{Stat, numbers, pidfd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use rustix::process::pidfd_send_signal;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// A process, by a descriptor. It stays valid if the PID is reused.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// The process that has this PID now. `None` if there is none.
    pub fn open(pid: i32) -> Option<Self> {
        pidfd(pid).ok().map(Self)
    }

    /// Sends a signal. `false` if the process has ended.
    pub fn signal(&self, signal: Signal) -> bool {
        let signal = rustix::process::Signal::from_named_raw(signal as i32);
        signal.is_some_and(|signal| pidfd_send_signal(&self.0, signal).is_ok())
    }

    /// Waits until the process ends. `false` after the timeout.
    pub fn wait(&self, timeout: Duration) -> bool {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
    }
}

/// The processes of this user. Processes of other users are skipped: their owners can block reads
/// of their arguments.
pub fn own() -> impl Iterator<Item = i32> {
    let user = geteuid().as_raw();
    let is_own = move |pid: &i32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == user);
    numbers("/proc").filter(is_own)
}

/// Describes a process: `process 12 (stopped, state T)`.
pub fn described(pid: i32) -> String {
    let Ok(stat) = Stat::of(pid) else { return format!("process {pid} (ended)") };
    let word = match stat.state {
        _ if stat.has_ended() => "ended",
        _ if stat.is_stopped() => "stopped",
        'D' => "waits in the kernel",
        _ => "runs",
    };
    format!("process {pid} ({word}, state {})", stat.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // Not a process of a cluster.
    fn a_stopped_process_is_described_and_killed() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        assert!(own().any(|own| own == pid));
        let process = Pidfd::open(pid).unwrap();
        assert!(!process.wait(Duration::ZERO) && process.signal(Signal::SIGSTOP));
        while !Stat::of(pid).is_ok_and(Stat::is_stopped) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(described(pid), format!("process {pid} (stopped, state T)"));
        assert!(process.signal(Signal::SIGKILL) && process.wait(Duration::from_secs(60)));
        assert!(Stat::of(pid).is_ok_and(Stat::has_ended), "it is a zombie");
        child.wait().unwrap();
        assert!(!process.signal(Signal::SIGKILL), "its PID is free again");
        assert_eq!(described(pid), format!("process {pid} (ended)"));
    }
}
