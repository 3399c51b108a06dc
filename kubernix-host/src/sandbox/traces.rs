//! What a cluster leaves on the host outside of its root directory: cgroups, and what its uplink took.

use super::carriers::{self, Carrier};
use super::cgroups::{self, Hierarchy};
use super::{HostLock, hugetlb};
use crate::network::uplink;
use crate::own_thread;
use crate::root::{ClusterFile, ClusterId, Root};
use std::collections::BTreeSet;

/// What a cluster that is ended from outside leaves, as far as it can only be found while the cluster runs.
#[derive(Debug)]
pub struct Traces {
    /// The names of its cgroups: its ID, and what an older version may have named them by.
    groups: BTreeSet<String>,
    uplink: uplink::Taken,
}

impl Traces {
    /// Those of a cluster with these carriers.
    pub fn look(root: &Root, carriers: &[Carrier]) -> Self {
        // The ID of a copy of another cluster's directory isn't that cluster's.
        let own = match root.open_existing() {
            Ok(state) => vec![state.cgroup().to_owned()],
            // An older version may have booted it.
            Err(_) => lost_id(root).into_iter().chain([root.name()]).collect(),
        };
        let groups = carriers.iter().map(|carrier| carrier.id.clone()).chain(own).collect();
        Self { uplink: uplink::taken(root, &groups), groups }
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

/// The ID of a cluster whose `state.json` is damaged, by the state in force. The directory may be a copy of another cluster's, so `None`
/// where a cluster of this ID runs.
fn lost_id(root: &Root) -> Option<String> {
    let state = ClusterFile::read(root).ok()??;
    let id: ClusterId = state.boot["environment"]["id"].as_str()?.parse().ok()?;
    let runs = carriers::all().into_iter().any(|carrier| carrier.id == id.as_str());
    (!runs).then(|| id.to_string())
}

/// Removes a cluster's cgroups; goes on past errors. May leave the calling thread in a mount namespace of its own.
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
    use crate::root::Allotment;
    use crate::sandbox::carriers::Part;
    use serde_json::json;
    use std::fs;

    /// Writes what the uplink of the cluster of this ID would note.
    fn note(root: &Root, id: &str) {
        let text = format!(r#"{{ "link": "kubernix-0", "token": "{id} 12", "forwarding": ["eth0"] }}"#);
        fs::create_dir(root.run()).unwrap();
        fs::write(root.run().join("uplink.json"), text).unwrap();
    }

    #[test]
    fn a_copy_of_a_directory_has_no_traces_of_the_original() {
        let base = tempfile::tempdir().unwrap();
        let [original, copy] = ["one", "two"].map(|name| Root::new(base.path(), name));
        let id = original.create().unwrap().id.unwrap().to_string();
        note(&original, &id);
        let traces = Traces::look(&original, &[]);
        assert_eq!(traces.groups, BTreeSet::from([id.clone()]));
        assert_ne!(traces.uplink, uplink::Taken::default());
        // As `cp -a` does it.
        fs::create_dir_all(copy.run()).unwrap();
        for file in ["state.json", "run/uplink.json"] {
            fs::copy(original.path().join(file), copy.path().join(file)).unwrap();
        }
        let traces = Traces::look(&copy, &[]);
        assert_eq!((traces.groups, traces.uplink), (BTreeSet::from(["two".into()]), uplink::Taken::default()));
        // Nor has it once it has an ID of its own.
        let own = copy.identify().unwrap().id.unwrap().to_string();
        assert_ne!(own, id);
        let traces = Traces::look(&copy, &[]);
        assert_eq!((traces.groups, traces.uplink), (BTreeSet::from([own]), uplink::Taken::default()));
    }

    #[test]
    fn a_damaged_state_file_hides_nothing() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        let id = root.create().unwrap().id.unwrap().to_string();
        note(&root, &id);
        let boot = json!({ "environment": { "id": id } });
        ClusterFile::first(String::new(), Allotment::default(), boot).commit(&root).unwrap();
        let whole = Traces::look(&root, &[]).uplink;
        fs::write(root.path().join("state.json"), "").unwrap();
        let traces = Traces::look(&root, &[]);
        assert_eq!((traces.groups, traces.uplink), (BTreeSet::from([id, "one".into()]), whole));
        fs::write(ClusterFile::path(&root), "").unwrap();
        let traces = Traces::look(&root, &[]);
        assert_eq!((traces.groups, traces.uplink), (BTreeSet::from(["one".into()]), uplink::Taken::default()));
    }

    #[test]
    fn a_directory_that_is_gone_is_known_by_its_carriers() {
        let base = tempfile::tempdir().unwrap();
        let (root, id) = (Root::new(base.path(), "one"), "0123456789abcdef");
        let keeper = Carrier { part: Part::Keeper, pid: 1, id: id.into(), root: root.path().into(), is_orphan: true };
        assert_eq!(Traces::look(&root, &[keeper]).groups, BTreeSet::from([id.into(), "one".into()]));
    }
}
