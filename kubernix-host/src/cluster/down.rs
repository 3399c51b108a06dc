//! `down`: ends a cluster from outside, in any state of its processes and its directory.
//!
//! Must not depend on anything that may be broken. It sends a kill request to the cluster, then
//! kills the cluster's processes, which it finds among all processes of the host. SIGKILL also ends
//! processes that are stopped by a signal.

use super::{Call, Cluster, ClusterError, HostError, StopError, traces};
use crate::control::{Client, Request};
use crate::events::{Event, Sink};
use crate::root_dir;
use crate::sandbox::carriers::{self, Carrier, Part};
use crate::sandbox::lock::{self, LockError};
use crate::sandbox::{Ending, Traces, holders};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// The time limit of the kill request to the cluster.
const KILL_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the keeper may take to clean up after its init. Then it is killed, and `down` cleans up
/// in its place.
const KEEPER_TIMEOUT: Duration = Duration::from_secs(5);
/// After this time, commands that hold the lock but are stopped by a signal are killed, and frozen
/// cgroups are thawed.
const OBSTACLE_DELAY: Duration = Duration::from_secs(1);
/// How long the end of all processes may take.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval between two searches for processes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Rejects a cluster of which an earlier boot still runs without its root directory: both would use
/// the same cgroups.
pub(super) fn refuse_orphan(call: &Call) -> Result<(), HostError> {
    let orphans = carriers::of(&root_dir::Root::new(call.base(), call.name())).into_iter().filter(|one| one.is_orphan);
    match orphans.map(|one| one.to_string()).collect::<Vec<_>>() {
        orphans if orphans.is_empty() => Ok(()),
        processes => Err(ClusterError::Orphaned { call: call.clone(), processes }.into()),
    }
}

impl Cluster {
    /// Kills the cluster's processes and removes its root directory. Works even if the directory is
    /// damaged, missing, or of a newer version, and if processes are stopped by a signal.
    ///
    /// # Errors
    /// A process doesn't end, or a file can't be removed. Everything else is ended and removed.
    pub fn down(&self, sink: &dyn Sink) -> Result<(), HostError> {
        let is_carried = !carriers::of(self.root()).is_empty();
        // A missing directory is created again for its lock, which excludes an `up` of the same
        // name.
        let made = match self.root().open_existing() {
            Err(root_dir::Error::Missing { .. }) if is_carried => self.root().create_directory().ok(),
            _ => None,
        };
        let removed = self.end(sink).and_then(|lock| {
            // No lock: another command has removed the directory meanwhile.
            let Some(_lock) = lock else { return Ok(()) };
            if made.is_none() {
                self.remove_from_kubeconfigs(sink);
            }
            match self.root().remove_carried(is_carried) {
                Err(root_dir::Error::Missing { .. }) => Ok(()),
                removed => Ok(removed?),
            }
        });
        if let Some(made) = made {
            made.undo();
        }
        removed?;
        sink.emit(Event::Stopped { instance: self.name().to_owned() });
        Ok(())
    }

    /// Kills the cluster's processes, and removes what a killed cluster leaves outside of its root
    /// directory. Returns the lock; `None` if there is no root directory.
    ///
    /// # Errors
    /// A process doesn't end.
    pub(super) fn end(&self, sink: &dyn Sink) -> Result<Option<lock::Lock>, HostError> {
        sink.emit(Event::Stopping { instance: self.name().to_owned() });
        let root = self.root();
        let carriers = carriers::of(root);
        // Before any process ends: some traces are visible only in the processes and in the
        // sandbox.
        let traces = traces::look(root, &carriers);
        if !carriers.is_empty() || self.is_running() {
            // A command that boots or inspects the cluster reads this as the reason of its end.
            Ending::Down.note(root);
            if !carriers.iter().any(|carrier| carrier.part == Part::Init && carrier.is_stopped()) {
                let killed = Client::connect(root, KILL_REQUEST_TIMEOUT).and_then(|client| {
                    client.request_events(&Request::Kill, KILL_REQUEST_TIMEOUT).map(Iterator::count)
                });
                if let Err(error) = killed {
                    log::debug!("{}: {error}", self.name());
                }
            }
        }
        let lock = self.kill_until_ended(&traces)?;
        if lock.is_some() || !carriers.is_empty() {
            traces.remove(root);
        }
        Ok(lock)
    }

    /// Kills the cluster's processes, including new ones: a boot may not have had its init yet at
    /// the kill request. Returns the lock after the last process has ended; `None` if there is no
    /// root directory.
    fn kill_until_ended(&self, traces: &Traces) -> Result<Option<lock::Lock>, HostError> {
        let (root, begun) = (self.root(), Instant::now());
        let mut taken = None;
        while begun.elapsed() < END_TIMEOUT {
            let is_late = begun.elapsed() > KEEPER_TIMEOUT;
            let carriers = carriers::of(root);
            let due = carriers.iter().filter(|one| one.part == Part::Init || is_late || one.is_stopped());
            let killed: Vec<_> = due.filter_map(|one| one.signal(Signal::SIGKILL)).collect();
            if begun.elapsed() > OBSTACLE_DELAY {
                holders::of(root).iter().for_each(holders::Holder::end_if_stopped);
                traces.thaw();
            }
            if taken.is_none() {
                taken = match lock::wait(root, POLL_INTERVAL) {
                    Err(LockError::Missing { .. }) if carriers.is_empty() => return Ok(None),
                    Err(LockError::Missing { .. }) => None,
                    taken => taken?,
                };
            }
            let has_lock = taken.is_some();
            if has_lock && carriers::of(root).is_empty() {
                return Ok(taken);
            }
            for process in killed {
                process.wait(POLL_INTERVAL);
            }
        }
        let carriers = carriers::of(root).iter().map(Carrier::to_string).collect::<Vec<_>>();
        let holders = || holders::of(root).iter().map(holders::Holder::to_string).collect();
        let left = if carriers.is_empty() { holders() } else { carriers };
        Err(StopError::NotEnded { call: self.call.clone(), limit: END_TIMEOUT, left }.into())
    }
}
