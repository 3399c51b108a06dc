//! The one stop ladder: signal, grace, SIGKILL.

use super::{Exit, Running};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use std::time::Duration;

/// Ends a process and its group: its own stop signal, the time it has, then SIGKILL. Returns when it is gone.
pub async fn stop(running: &Running) -> Exit {
    let process = &running.process;
    let signal = Signal::try_from(process.stop_signal).unwrap_or(Signal::SIGTERM);
    // Also where it obeys: what it leaves in its group goes with it.
    running.end_group_with_it();
    if process.stop_grace_ms > 0 && running.exit().is_none() {
        kill_group(running, signal);
        let grace = Duration::from_millis(process.stop_grace_ms);
        if tokio::time::timeout(grace, running.wait()).await.is_err() {
            log::warn!("{} ignored {signal} for {grace:?}", process.name);
        }
    }
    kill_group(running, Signal::SIGKILL);
    running.wait().await
}

/// Signals a process's group, unless the process has ended: its number may be another's then. Reaping and this happen on one
/// thread, so a process that isn't known to have ended still has its number.
pub fn kill_group(running: &Running, signal: Signal) {
    if running.exit().is_some() {
        return;
    }
    match killpg(running.pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => log::warn!("{} can't be signalled: {errno}", running.process.name),
    }
}
