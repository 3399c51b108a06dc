//! Copies the directories of a component of a running cluster, consistently: its processes are
//! paused meanwhile.

use super::planned::Planned;
use super::{Cluster, InstanceState};
use crate::control::Copied;
use crate::process::PausedGroups;
use crate::root_dir::{self, Root};
use crate::snapshot;
use nix::unistd::Pid;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinError;

/// How long processes may be paused in total. Controllers lose their leases if they can't renew
/// them for ten seconds.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the directories of a role can't be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// No component fills the role.
    #[error("no component fills the role `{0}`")]
    NoProvider(String),
    /// An instance is starting, stopping or failing, or none is ready.
    #[error("{instance} is {state}, and its data can be copied only while it is ready: try again later")]
    NotReady { instance: String, state: InstanceState },
    /// The directories can't be listed.
    #[error(transparent)]
    Directories(#[from] root_dir::Error),
    /// The processes can't be paused.
    #[error("its processes can't be paused")]
    Pause(#[source] io::Error),
    /// The copy took too long.
    #[error(
        "its data can't be copied within {PAUSE_TIMEOUT:?}, the longest time that its processes may be paused: stop the \
         cluster first"
    )]
    TimedOut,
    /// The copy failed.
    #[error(transparent)]
    Copy(#[from] snapshot::Error),
    /// The thread panicked.
    #[error(transparent)]
    Thread(#[from] JoinError),
}

impl Cluster {
    /// Copies the directories of all instances that fill a role to the staging directory of
    /// snapshots.
    ///
    /// # Errors
    /// See [`CopyError`]. Paused processes continue in any case.
    pub(super) async fn copy_state(&self, role: &str) -> Result<Copied, CopyError> {
        let providers: Vec<_> = self.instances().into_iter().filter(|planned| planned.fills(role)).collect();
        let Some(first) = providers.first() else { return Err(CopyError::NoProvider(role.to_owned())) };
        self.check_providers(&providers)?;
        let groups: Vec<Pid> =
            providers.iter().flat_map(|one| self.processes_of(one.id)).map(|running| running.pid).collect();
        let root = self.root.clone();
        // Includes the directories of members that are down: a cluster starts from all of them.
        let directories = root.component_directories(&first.instance.component)?;
        let paused = tokio::task::spawn_blocking(move || copy(&root, &groups, &directories)).await??;
        Ok(Copied {
            component: first.instance.component.clone(),
            version: first.instance.registered.version.clone(),
            paused_us: u64::try_from(paused.as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// Checks that a provider is ready, and that the others are ready or down. One that is down
    /// doesn't write, but one that is starting or restarting may.
    fn check_providers(&self, providers: &[Rc<Planned>]) -> Result<(), CopyError> {
        let state = |one: &Planned| self.reducer.borrow().instance_state(one.id).unwrap_or(InstanceState::Stopped);
        let is_settled =
            |one: &Planned| matches!(state(one), InstanceState::Ready | InstanceState::Stopped | InstanceState::Failed);
        let unsettled = providers.iter().find(|one| !is_settled(one));
        let none_ready = providers.iter().all(|one| state(one) != InstanceState::Ready);
        match unsettled.or_else(|| providers.first().filter(|_| none_ready)) {
            Some(one) => Err(CopyError::NotReady { instance: one.name().to_owned(), state: state(one) }),
            None => Ok(()),
        }
    }
}

/// Copies directories while these process groups are paused. Returns the time of the pause.
fn copy(root: &Root, groups: &[Pid], directories: &[PathBuf]) -> Result<Duration, CopyError> {
    let begin = Instant::now();
    let paused = PausedGroups::pause(groups, PAUSE_TIMEOUT).map_err(CopyError::Pause)?;
    let staged = snapshot::stage(root, directories, Some(begin + PAUSE_TIMEOUT));
    drop(paused);
    match staged {
        Ok(()) => Ok(begin.elapsed()),
        Err(snapshot::Error::Copy(snapshot::CopyError::TooLong)) => Err(CopyError::TimedOut),
        Err(error) => Err(error.into()),
    }
}
