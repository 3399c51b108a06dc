//! What is left of a cluster on the host. The cgroups of other clusters come and go meanwhile, and
//! don't count.

use kubernix_tests::{Cluster, Process, Snapshot, processes_below};
use std::fs;
use std::path::Path;

/// What is there of a cluster that wasn't before it, and what isn't there any more that was, but
/// for the cgroups of other clusters, which come and go meanwhile.
pub fn remains(before: &Snapshot, cluster: &Cluster) -> Vec<String> {
    let own = processes_below(cluster.base());
    let is_foreign = |change: &String| {
        let Some((came, group)) = change.split_once(": cgroup ") else { return false };
        // What went had been there before this cluster was.
        came == "gone" || is_used_by_others(Path::new(group), &own)
    };
    let changes = before.changes(&Snapshot::take(&cluster.name, cluster.base()));
    changes.into_iter().filter(|change| !is_foreign(change)).collect()
}

/// Whether processes other than these are in the cluster's cgroup that this one belongs to.
fn is_used_by_others(group: &Path, own: &[Process]) -> bool {
    const ALL_CLUSTERS: &str = "kubernix";
    let above: Vec<&Path> = group.ancestors().collect();
    let Some(at) = above.iter().position(|path| path.ends_with(ALL_CLUSTERS)) else { return false };
    // The directory of all clusters is in use for as long as one of theirs is.
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
