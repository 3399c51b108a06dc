//! Finds the remains of a cluster on the host.

use kubernix_tests::{Cluster, Process, Snapshot, processes_below};
use std::fs;
use std::path::Path;

/// The differences that a cluster has left on the host. Cgroups of other clusters are left out:
/// their tests create and remove them meanwhile.
pub fn remains(before: &Snapshot, cluster: &Cluster) -> Vec<String> {
    let own = processes_below(cluster.base());
    let is_foreign = |change: &String| {
        let Some((came, group)) = change.split_once(": cgroup ") else { return false };
        // A removed cgroup existed before this cluster.
        came == "gone" || is_used_by_others(Path::new(group), &own)
    };
    let changes = before.changes(&Snapshot::take(&cluster.name, cluster.base()));
    changes.into_iter().filter(|change| !is_foreign(change)).collect()
}

/// Whether the cluster's cgroup above this one has other processes than these.
fn is_used_by_others(group: &Path, own: &[Process]) -> bool {
    const ALL_CLUSTERS: &str = "kubernix";
    let above: Vec<&Path> = group.ancestors().collect();
    let Some(at) = above.iter().position(|path| path.ends_with(ALL_CLUSTERS)) else { return false };
    // The cgroup of all clusters is in use as long as one of them is.
    let top = above[at.saturating_sub(1)];
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        let mut pids = listed.lines().filter_map(|line| line.parse::<i32>().ok());
        if pids.any(|pid| !own.iter().any(|process| process.pid == pid)) {
            return true;
        }
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        open.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    false
}
