//! Signals to the process groups of a cluster's processes.

use super::Running;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};

/// Signals a process that should stop. Its exit kills the rest of its process group, even if it
/// exits by itself.
pub fn request_stop(running: &Running, signal: Signal) {
    running.kill_group_on_exit();
    kill_group(running, signal);
}

/// Signals a process's group. Does nothing if the process has ended, because its PID may be reused.
/// Reaping happens on the same thread, so the PID of a process without an exit is still valid.
pub fn kill_group(running: &Running, signal: Signal) {
    if running.exit().is_some() {
        return;
    }
    match killpg(running.pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => log::warn!("{} can't be signalled: {errno}", running.process.name),
    }
}
