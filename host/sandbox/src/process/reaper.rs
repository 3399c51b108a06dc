//! Waits for every child of this process and hands out how each ended.

use super::Exit;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A child that isn't reaped yet.
struct Child {
    exit: watch::Sender<Option<Exit>>,
    is_stopping: Arc<AtomicBool>,
}

/// What the spawner gets to know about its child.
pub(super) struct Registered {
    /// How it ended, once it is reaped. Until then its number is its own.
    pub(super) exit: watch::Receiver<Option<Exit>>,
    /// Set it, and what the child leaves in its process group is killed with its end.
    pub(super) is_stopping: Arc<AtomicBool>,
}

/// Waits for every child of this process and hands out how each ended.
///
/// Children are registered in the same stretch of code that starts them, and reaping happens
/// between tasks of one thread: no child can end unseen in between.
#[derive(Clone, Default)]
pub struct Reaper {
    table: Arc<Mutex<HashMap<Pid, Child>>>,
}

impl Reaper {
    /// Wants to know how this child ends. Call it before the next await after starting it.
    pub(super) fn register(&self, pid: Pid) -> Registered {
        let (sender, exit) = watch::channel(None);
        let is_stopping = Arc::<AtomicBool>::default();
        self.table().insert(pid, Child { exit: sender, is_stopping: is_stopping.clone() });
        Registered { exit, is_stopping }
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
        // The first look leaves the child as it is: its number, and its group's, stay its own until
        // it is reaped.
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            let status = match waitid(Id::All, look) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(errno) => return log::error!("waiting for children failed: {errno}"),
            };
            let (Some(pid), Some(exit)) = (status.pid(), Exit::of(status)) else { continue };
            // Orphans that were handed to PID 1 are in no table.
            let child = self.table().remove(&pid);
            if child.as_ref().is_some_and(|child| child.is_stopping.load(Ordering::Relaxed)) {
                // No error is possible: the leader is still in the group.
                let _ = killpg(pid, Signal::SIGKILL);
            }
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) == Err(Errno::EINTR) {}
            if let Some(child) = child {
                child.exit.send_replace(Some(exit));
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<Pid, Child>> {
        // A panic elsewhere leaves the table whole: every change is one call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
