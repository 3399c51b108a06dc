//! What a cluster leaves on the host outside of its root directory: cgroups, and what its uplink took.

use super::carriers::Carrier;
use super::cgroups::{self, Hierarchy};
use super::{HostLock, hugetlb};
use crate::network::{HostNet, uplink};
use crate::own_thread;
use crate::root::Root;
use std::collections::BTreeSet;
use std::fs::File;

/// What a cluster that is ended from outside leaves, as far as it can only be found while the cluster runs.
#[derive(Debug)]
pub struct Traces {
    /// The names of its cgroups.
    groups: BTreeSet<String>,
    uplink: uplink::Taken,
}

impl Traces {
    /// Those of a cluster with these carriers.
    pub fn look(root: &Root, carriers: &[Carrier]) -> Self {
        let namespace = |carrier: &Carrier| File::open(format!("/proc/{}/ns/net", carrier.pid)).ok();
        let sandbox = carriers.iter().find_map(namespace).map(|file| HostNet::new(file.into()));
        let groups = carriers.iter().filter_map(|carrier| cgroups::cluster_of(carrier.pid));
        // A directory that says nothing any more may have been booted by an older version.
        let own = root.open_existing().map_or_else(|_| root.name(), |state| state.cgroup().to_owned());
        Self { groups: groups.chain([own]).collect(), uplink: uplink::taken(root, sandbox.as_ref()) }
    }

    /// Lets processes go on that are frozen in the cluster's cgroups, so that they can be killed.
    pub fn thaw(&self) {
        for hierarchy in cgroups::mounted() {
            self.groups.iter().for_each(|group| hierarchy.thaw(group));
        }
    }

    /// Removes them, when nothing of the cluster runs any more. The caller keeps others from booting it.
    pub fn remove(self, root: &Root) {
        let lock = match HostLock::of_host() {
            Ok(lock) => lock,
            Err(error) => return log::warn!("cgroups and uplink of {} stay: {error}", root.name()),
        };
        uplink::give_back_taken(root, &lock, self.uplink);
        let hierarchies = cgroups::mounted();
        for group in &self.groups {
            if !hierarchies.iter().any(|hierarchy| hierarchy.has(group)) {
                continue;
            }
            // A thread of its own, for it is left in a mount namespace that nothing else should be in.
            if let Err(error) = own_thread::run(|| remove_groups(&hierarchies, group, &lock)) {
                log::warn!("cgroup of {group} can't be removed: {error}");
            }
        }
    }
}

/// Removes a cluster's cgroups; goes on past errors. May leave the calling thread in a mount namespace of its own.
pub(super) fn remove_groups(hierarchies: &[Hierarchy], group: &str, lock: &HostLock) {
    for hierarchy in hierarchies {
        if let Err(error) = hierarchy.remove(group, lock) {
            log::warn!("cgroup of {group} can't be removed: {error}");
        }
    }
    if hugetlb::is_needed(hierarchies)
        && let Err(error) = hugetlb::clean(group, lock)
    {
        log::warn!("hugetlb cgroup of {group} can't be removed: {error}");
    }
}
