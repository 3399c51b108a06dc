//! What a cluster leaves on the host outside of its root directory: cgroups, and changes by its
//! uplink.

use super::HostLock;
use super::carriers::Carrier;
use crate::cgroups::hugetlb;
use crate::cgroups::{self, Hierarchy};
use crate::cluster_dir::ClusterDir;
use crate::network::uplink;
use crate::own_thread;
use std::collections::BTreeSet;

/// The traces of a cluster that another process ends. They are looked up while the cluster runs,
/// because some can't be found later.
#[derive(Debug)]
pub struct Traces {
    /// The names of its cgroups: its ID, and the name that an older version used.
    groups: BTreeSet<String>,
    uplink: uplink::HostChanges,
}

impl Traces {
    /// Finds the traces of a cluster with these carriers. `own` are the names that its cgroups may
    /// have according to its files.
    pub fn find(root: &ClusterDir, carriers: &[Carrier], own: Vec<String>) -> Self {
        let groups = carriers.iter().map(|carrier| carrier.id.clone()).chain(own).collect();
        Self { uplink: uplink::find_host_changes(root, &groups), groups }
    }

    /// Thaws processes in the cluster's cgroups, so that they can be killed.
    pub fn thaw(&self) {
        for hierarchy in cgroups::mounted() {
            self.groups.iter().for_each(|group| hierarchy.thaw(group));
        }
    }

    /// Removes the traces, after all processes of the cluster have ended. The caller prevents a
    /// boot.
    pub fn remove(self, root: &ClusterDir) {
        let lock = match HostLock::of_host() {
            Ok(lock) => lock,
            Err(error) => {
                return log::warn!("cgroups and uplink of {} can't be removed: {error}", root.name());
            }
        };
        uplink::revert(root, &lock, self.uplink);
        let hierarchies = cgroups::mounted();
        for group in &self.groups {
            if !hierarchies.iter().any(|hierarchy| hierarchy.has(group)) {
                continue;
            }
            // On a separate thread, because the call leaves the thread in another mount namespace.
            if let Err(error) = own_thread::run(|| remove_groups(&hierarchies, group, &lock)) {
                log::warn!("cgroup of {group} can't be removed: {error}");
            }
        }
    }
}

/// Removes a cluster's cgroups, and continues after errors. May leave the calling thread in a new
/// mount namespace.
pub(super) fn remove_groups(hierarchies: &[Hierarchy], group: &str, lock: &HostLock) {
    if let Err(error) = cgroups::remove(hierarchies, group, lock) {
        log::warn!("cgroup of {group} can't be removed: {error}");
    }
    if hugetlb::is_needed(hierarchies)
        && let Err(error) = hugetlb::clean(group, lock)
    {
        log::warn!("hugetlb cgroup of {group} can't be removed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::carriers::Part;
    use std::fs;

    #[test]
    fn a_copy_of_a_directory_has_no_traces_of_the_original() {
        let base = tempfile::tempdir().unwrap();
        let (root, id) = (ClusterDir::at(base.path().join("one")), "0123456789abcdef");
        let text = format!(r#"{{ "link": "kubernix-0", "token": "{id} 12", "forwarding": ["eth0"] }}"#);
        fs::create_dir_all(root.run()).unwrap();
        fs::write(root.run().join("uplink.json"), text).unwrap();
        let traces = Traces::find(&root, &[], vec![id.into()]);
        assert_eq!(traces.groups, BTreeSet::from([id.into()]));
        assert_ne!(traces.uplink, uplink::HostChanges::default());
        // A copy has the same record, but another ID.
        let traces = Traces::find(&root, &[], vec!["fedcba9876543210".into()]);
        assert_eq!(traces.uplink, uplink::HostChanges::default());
    }

    #[test]
    fn carriers_have_the_cgroup_names_of_a_removed_directory() {
        let base = tempfile::tempdir().unwrap();
        let (root, id) = (ClusterDir::at(base.path().join("one")), "0123456789abcdef");
        let keeper = Carrier { part: Part::Keeper, pid: 1, id: id.into(), root: root.path().into(), is_orphan: true };
        let traces = Traces::find(&root, &[keeper], vec!["one".into()]);
        assert_eq!(traces.groups, BTreeSet::from([id.into(), "one".into()]));
    }
}
