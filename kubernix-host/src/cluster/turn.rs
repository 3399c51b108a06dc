//! One change of a running cluster at a time: each begins with what the one before it left.

use super::{Cluster, Host, HostError};
use crate::spec::{self, Resolved, Settings};
use std::fs::{File, TryLockError};

/// Held while a command changes a running cluster: a lock of its directory `run`, which the kernel gives back.
pub(super) struct Turn(#[expect(dead_code, reason = "it is held, not used")] File);

impl Host {
    /// Takes the turn of a cluster that runs.
    ///
    /// # Errors
    /// There is no such cluster, or it doesn't run; another command has the turn, or has changed the settings since these were read.
    pub(super) fn turn(&self, resolved: &Resolved) -> Result<Turn, HostError> {
        let call = self.call(&resolved.settings);
        let cluster = Cluster::find(call.clone())?;
        if !cluster.is_running() {
            return Err(HostError::Stopped(call));
        }
        let unreadable = |error| HostError::io("the cluster's directory `run` can't be locked")(error);
        let run = File::open(cluster.root().run()).map_err(unreadable)?;
        match run.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HostError::Changing(call)),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
        // Ports come and go by themselves.
        let but_ports = |settings: Settings| Settings { publish: Vec::new(), ..settings };
        match (resolved.saved.clone(), spec::saved(cluster.root())) {
            (Some(then), Ok(now)) if but_ports(then.clone()) != but_ports(now.clone()) => {
                Err(HostError::Changing(call))
            }
            _ => Ok(Turn(run)),
        }
    }

    /// The same for `up`; `None` where the cluster is only just beginning, or has just ended: whoever looks next finds that out.
    ///
    /// # Errors
    /// Another command has the turn, or has changed the settings since these were read.
    pub(super) fn turn_of_up(&self, resolved: &Resolved) -> Result<Option<Turn>, HostError> {
        match self.turn(resolved) {
            Ok(turn) => Ok(Some(turn)),
            Err(error @ HostError::Changing(_)) => Err(error),
            Err(_) => Ok(None),
        }
    }
}
