//! Waits for every child of this process and hands out how each ended.

use super::Exit;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

type Table = HashMap<Pid, watch::Sender<Option<Exit>>>;

/// Waits for every child of this process and hands out how each ended.
///
/// Children are registered in the same stretch of code that starts them, and reaping happens between tasks of one thread:
/// no child can end unseen in between.
#[derive(Clone, Default)]
pub struct Reaper {
    table: Arc<Mutex<Table>>,
}

impl Reaper {
    /// Wants to know how this child ends. Call it before the next await after starting it.
    pub(super) fn register(&self, pid: Pid) -> watch::Receiver<Option<Exit>> {
        let (sender, receiver) = watch::channel(None);
        self.table().insert(pid, sender);
        receiver
    }

    /// Reaps for as long as the task lives.
    ///
    /// # Errors
    /// SIGCHLD can't be listened for.
    pub async fn run(self) -> io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        loop {
            self.reap();
            children.recv().await;
        }
    }

    fn reap(&self) {
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(errno) => return log::error!("waiting for children failed: {errno}"),
            };
            // Orphans that were handed to PID 1 are in no table.
            if let Some(sender) = self.table().remove(&pid) {
                sender.send_replace(Some(exit));
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        // A panic elsewhere leaves the table whole: every change is one call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
