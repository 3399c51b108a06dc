//! Reaps every child of this process and hands out the exit statuses.

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

/// A child that hasn't been reaped yet.
struct Child {
    exit: watch::Sender<Option<Exit>>,
    is_stopping: Arc<AtomicBool>,
}

/// The spawner's side of a registered child.
pub(super) struct Registered {
    /// The exit, once the child is reaped. Until then its PID can't be reused.
    pub(super) exit: watch::Receiver<Option<Exit>>,
    /// If set, the child's process group is killed when the child ends.
    pub(super) is_stopping: Arc<AtomicBool>,
}

/// Reaps every child of this process and hands out the exit statuses.
///
/// A child is registered before the next await after its start, and the reaper runs as a task of
/// the same thread. So no child can end unnoticed in between.
#[derive(Clone, Default)]
pub struct Reaper {
    table: Arc<Mutex<HashMap<Pid, Child>>>,
}

impl Reaper {
    /// Registers a child. Must be called before the next await after starting it.
    pub(super) fn register(&self, pid: Pid) -> Registered {
        let (sender, exit) = watch::channel(None);
        let is_stopping = Arc::<AtomicBool>::default();
        self.table().insert(pid, Child { exit: sender, is_stopping: is_stopping.clone() });
        Registered { exit, is_stopping }
    }

    /// Reaps children until the task is dropped.
    ///
    /// # Errors
    /// SIGCHLD can't be handled.
    pub async fn run(self) -> io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        loop {
            self.reap();
            children.recv().await;
        }
    }

    fn reap(&self) {
        // WNOWAIT leaves the child unreaped, so that its PID and process group can't be reused yet.
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            let status = match waitid(Id::All, peek) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(errno) => return log::error!("waiting for children failed: {errno}"),
            };
            let (Some(pid), Some(exit)) = (status.pid(), Exit::of(status)) else { continue };
            // Orphans that PID 1 inherited aren't in the table.
            let child = self.table().remove(&pid);
            if child.as_ref().is_some_and(|child| child.is_stopping.load(Ordering::Relaxed)) {
                // This can't fail: the leader is still in the group.
                let _ = killpg(pid, Signal::SIGKILL);
            }
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) == Err(Errno::EINTR) {}
            if let Some(child) = child {
                child.exit.send_replace(Some(exit));
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<Pid, Child>> {
        // A panic elsewhere can't leave the table inconsistent, because every change is one call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
