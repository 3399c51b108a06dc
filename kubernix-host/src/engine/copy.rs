//! What a component has written, copied as it is at one moment while the cluster runs: its
//! processes stand still meanwhile.

use super::planned::Planned;
use super::{Cluster, InstanceState};
use crate::chain::chain;
use crate::control::Copied;
use crate::process::PausedGroups;
use crate::root::Root;
use crate::snapshot;
use nix::unistd::Pid;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long processes may stand still, in all. Controllers give their leases up when they can't
/// renew them for ten seconds.
const LIMIT: Duration = Duration::from_secs(5);

impl Cluster {
    /// Copies the directories of all instances that fill a role to where snapshots are made of
    /// them.
    ///
    /// # Errors
    /// No component fills the role, an instance isn't ready, or its directory can't be copied in
    /// time. They all go on in any case.
    pub(super) async fn copy_state(&self, role: &str) -> Result<Copied, String> {
        let of_role: Vec<_> = self.instances().into_iter().filter(|planned| planned.fills(role)).collect();
        let Some(first) = of_role.first() else { return Err(format!("nothing fills the role `{role}`")) };
        let state = |one: &Planned| self.reducer.borrow().instance_state(one.id).unwrap_or(InstanceState::Stopped);
        // One of several members may be down, and writes nothing then; one that comes back
        // meanwhile would.
        let is_settled =
            |one: &Planned| matches!(state(one), InstanceState::Ready | InstanceState::Stopped | InstanceState::Failed);
        let late = of_role.iter().find(|one| !is_settled(one));
        let none_ready = of_role.iter().all(|one| state(one) != InstanceState::Ready);
        if let Some(late) = late.or_else(|| of_role.first().filter(|_| none_ready)) {
            return Err(format!("{} is {}: what it has can be copied once it is ready", late.name(), state(late)));
        }
        let groups: Vec<Pid> =
            of_role.iter().flat_map(|one| self.processes_of(one.id)).map(|running| running.pid).collect();
        let root = self.root.clone();
        // Those of members that are down as well: together they are what a start goes on with.
        let directories = root.component_directories(&first.instance.component).map_err(|error| error.to_string());
        let copied = tokio::task::spawn_blocking(move || copy(&root, &groups, &directories?)).await;
        let paused = copied.map_err(|error| error.to_string())??;
        Ok(Copied {
            component: first.instance.component.clone(),
            version: first.instance.registered.version.clone(),
            paused_us: u64::try_from(paused.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

fn copy(root: &Root, groups: &[Pid], directories: &[PathBuf]) -> Result<Duration, String> {
    let begun = Instant::now();
    let paused = PausedGroups::pause(groups, LIMIT).map_err(|error| format!("it can't be paused: {error}"))?;
    let staged = snapshot::stage(root, directories, Some(begun + LIMIT));
    drop(paused);
    match staged {
        Ok(()) => Ok(begun.elapsed()),
        Err(snapshot::Error::Copy(snapshot::CopyError::TooLong)) => Err(format!(
            "it has more than can be copied within {LIMIT:?}, for which it may stand still: stop the cluster first"
        )),
        Err(error) => Err(chain(&error)),
    }
}
