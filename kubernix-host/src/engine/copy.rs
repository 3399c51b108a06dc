//! What a component has written, copied as it is at one moment while the cluster runs: its processes stand still meanwhile.

use super::instance::Live;
use super::{Cluster, InstanceState};
use crate::chain::chain;
use crate::control::Copied;
use crate::process::Paused;
use crate::root::Root;
use crate::snapshot;
use nix::unistd::Pid;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long processes may stand still, in all. Controllers give their leases up when they can't renew them for ten seconds.
const LIMIT: Duration = Duration::from_secs(5);

impl Cluster {
    /// Copies the directories of all instances that fill a role to where snapshots are made of them.
    ///
    /// # Errors
    /// Nobody fills the role, an instance isn't ready, or its directory can't be copied in time. They all go on in any case.
    pub(super) async fn copy_state(&self, role: &str) -> Result<Copied, String> {
        let fills = |live: &Rc<Live>| live.planned.plan.provides.iter().any(|endpoint| endpoint.role.as_str() == role);
        let of_role: Vec<_> = self.instances().into_iter().filter(fills).collect();
        let Some(first) = of_role.first() else { return Err(format!("nothing fills the role `{role}`")) };
        // One of several members may be down, and writes nothing then; one that comes back meanwhile would.
        let is_settled = |live: &Rc<Live>| {
            matches!(live.state(), InstanceState::Ready | InstanceState::Stopped | InstanceState::Failed)
        };
        let late = of_role.iter().find(|live| !is_settled(live));
        let late = late.or_else(|| of_role.iter().all(|live| live.state() != InstanceState::Ready).then_some(first));
        if let Some(late) = late {
            return Err(format!("{} is {}: what it has can be copied once it is ready", late.name(), late.state()));
        }
        // Two that pause the same processes would let them go on under each other's hands.
        if self.copying.replace(true) {
            return Err("another copy is being made".into());
        }
        let running = of_role.iter().flat_map(|live| live.processes.borrow().clone());
        let groups: Vec<Pid> = running.filter(|process| process.exit().is_none()).map(|process| process.pid).collect();
        let environment = &self.boot.environment;
        let root = Root::new(environment.root.parent().unwrap_or(&environment.root), &environment.cluster);
        // Those of members that are down as well: together they are what a start goes on with.
        let directories = root.directories_of(&first.planned.component).map_err(|error| error.to_string());
        let copied = tokio::task::spawn_blocking(move || copy(&root, &groups, &directories?)).await;
        self.copying.set(false);
        let paused = copied.map_err(|error| error.to_string())??;
        Ok(Copied {
            component: first.planned.component.clone(),
            version: first.planned.registered.version.clone(),
            paused_us: u64::try_from(paused.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

fn copy(root: &Root, groups: &[Pid], directories: &[PathBuf]) -> Result<Duration, String> {
    let begun = Instant::now();
    let paused = Paused::groups(groups, LIMIT).map_err(|error| format!("it can't be paused: {error}"))?;
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
