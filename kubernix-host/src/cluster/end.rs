//! The end of a cluster from outside, whatever state its processes and its directory are in.
//!
//! `down` must not depend on anything that may be broken: it asks the cluster, and then kills what runs of it, found among the
//! processes of the host. SIGKILL also ends processes that are stopped.

use super::{Call, Cluster, HostError, traces};
use crate::control::{Client, Request};
use crate::events::{Event, Sink};
use crate::root;
use crate::sandbox::carriers::{self, Carrier, Part};
use crate::sandbox::lock::{self, LockError};
use crate::sandbox::{Ending, Traces, holders};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// How long a cluster may take to obey the order to end at once.
const ASKED: Duration = Duration::from_secs(2);
/// How long a keeper may take to clean up after its init, before it is killed and its work done here.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// After this, a command that holds the lock and is stopped is ended as well, and frozen cgroups are thawed.
const OBSTACLES: Duration = Duration::from_secs(1);
/// How long an end at once may take in all.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(200);

/// Refuses a cluster whose earlier life still runs without its root directory: two would have the same cgroups.
pub(super) fn refuse_orphan(call: &Call) -> Result<(), HostError> {
    let orphans = carriers::of(&root::Root::new(call.base(), call.name())).into_iter().filter(|one| one.is_orphan);
    match orphans.map(|one| one.to_string()).collect::<Vec<_>>() {
        orphans if orphans.is_empty() => Ok(()),
        processes => Err(HostError::Orphaned { call: call.clone(), processes }),
    }
}

impl Cluster {
    /// Ends it at once and removes its root directory with all that is in it, also where the directory is damaged, of a newer
    /// version, or gone, and where processes are stopped.
    ///
    /// # Errors
    /// Something of it can't be ended or removed; the rest is.
    pub fn down(&self, sink: &dyn Sink) -> Result<(), HostError> {
        let is_carried = !carriers::of(self.root()).is_empty();
        // A directory that is gone is made again for its lock, which keeps an `up` of this name away until the end.
        let made = match self.root().open_existing() {
            Err(root::Error::Missing { .. }) if is_carried => self.root().make().ok(),
            _ => None,
        };
        let removed = self.end(sink).and_then(|lock| {
            // Where another command removed it meanwhile, nothing is left to do.
            let Some(_lock) = lock else { return Ok(()) };
            if made.is_none() {
                self.leave_kubeconfigs(sink);
            }
            match self.root().remove_carried(is_carried) {
                Err(root::Error::Missing { .. }) => Ok(()),
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

    /// Ends it at once, if it runs, with what a cluster that was killed left outside of its root directory. Returns the lock;
    /// `None` where there is no root directory.
    ///
    /// # Errors
    /// Something of it can't be ended.
    pub(super) fn end(&self, sink: &dyn Sink) -> Result<Option<lock::Lock>, HostError> {
        sink.emit(Event::Stopping { instance: self.name().to_owned() });
        let root = self.root();
        let carriers = carriers::of(root);
        // Before anything ends: some of it shows only in the processes and in the sandbox.
        let traces = traces::look(root, &carriers);
        if !carriers.is_empty() || self.is_running() {
            // So that a command that boots it or looks at it knows why it ends.
            Ending::Down.note(root);
            if !carriers.iter().any(|carrier| carrier.part == Part::Init && carrier.is_stopped()) {
                let asked = Client::connect(root, ASKED)
                    .and_then(|client| client.request_events(&Request::Kill, ASKED).map(Iterator::count));
                if let Err(error) = asked {
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

    /// Kills its processes, also those that show up meanwhile: a boot may have had no init yet when it was asked. Returns the
    /// lock once none is left; `None` where there is no root directory.
    fn kill_until_ended(&self, traces: &Traces) -> Result<Option<lock::Lock>, HostError> {
        let (root, begun) = (self.root(), Instant::now());
        let mut taken = None;
        while begun.elapsed() < LIMIT {
            let is_late = begun.elapsed() > CLEAN_UP;
            let carriers = carriers::of(root);
            let due = carriers.iter().filter(|one| one.part == Part::Init || is_late || one.is_stopped());
            let killed: Vec<_> = due.filter_map(|one| one.signal(Signal::SIGKILL)).collect();
            if begun.elapsed() > OBSTACLES {
                holders::of(root).iter().for_each(holders::Holder::end_if_stopped);
                traces.thaw();
            }
            if taken.is_none() {
                taken = match lock::wait(root, LOOK) {
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
                process.wait(LOOK);
            }
        }
        let carriers = carriers::of(root).iter().map(Carrier::to_string).collect::<Vec<_>>();
        let holders = || holders::of(root).iter().map(holders::Holder::to_string).collect();
        let left = if carriers.is_empty() { holders() } else { carriers };
        Err(HostError::NotEnded { call: self.call.clone(), limit: LIMIT, left })
    }
}
