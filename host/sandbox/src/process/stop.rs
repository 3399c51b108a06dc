//! Signals to the processes of a cluster, each to the process's whole group.

use super::Running;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};

/// Signals a process that is to end. What it leaves in its group is killed with its end, also where
/// it obeys.
pub fn request_stop(running: &Running, signal: Signal) {
    running.kill_group_on_exit();
    kill_group(running, signal);
}

/// Signals a process's group, unless the process has ended: its number may be another's then.
/// Reaping and this happen on one thread, so a process that isn't known to have ended still has its
/// number.
pub fn kill_group(running: &Running, signal: Signal) {
    if running.exit().is_some() {
        return;
    }
    match killpg(running.pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => log::warn!("{} can't be signalled: {errno}", running.process.name),
    }
}
