//! Runs many commands at once, on different clusters and on the same one: each succeeds or reports
//! why not, and nothing remains in the end.

use super::invariants::{CheckedCluster, REMOVAL_TIMEOUT};
use super::remains::remains;
use super::suite::{Cases, Options};
use kubernix_tests::{Cluster, Outcome, Snapshot, for_none, room_for_clusters, run_for};
use std::thread;
use std::time::Duration;

/// The name of this part in `--faults`.
pub const PART: &str = "crowd";
/// The maximum number of clusters.
const MAX_CLUSTERS: usize = 10;
/// The time limit of a boot beside nine others on two cores.
const BOOT_TIMEOUT: Duration = Duration::from_secs(300);

/// Runs a command on all of these at once.
fn at_once(clusters: &[&Cluster], command: &[&str]) -> Vec<Outcome> {
    thread::scope(|scope| {
        let run = |cluster: &&Cluster| {
            let mut command = cluster.command(command);
            scope.spawn(move || run_for(&mut command, BOOT_TIMEOUT))
        };
        let running: Vec<_> = clusters.iter().map(run).collect();
        running.into_iter().map(|one| one.join().expect("a command that ends")).collect()
    })
}

/// Runs ten `up` and `down` at once, or as many as there is room for.
pub fn ups_and_downs_at_once() -> Result<(), String> {
    let long = Options::get().long;
    let count = room_for_clusters().min(if long { MAX_CLUSTERS } else { 3 });
    let mut all = Cases::new(PART);
    let up = ["up", "--addons", "none", "--boot-timeout", "240"];
    all.case(0, format!("{count} `up` and `down` of different names at once"), || {
        assert!(count > 1, "there are inotify instances for {count} clusters only");
        let clusters: Vec<Cluster> = (0..count).map(|_| Cluster::new("crowd")).collect();
        let before = Snapshot::take(&clusters[0].name, clusters[0].base());
        let names: Vec<&Cluster> = clusters.iter().collect();
        for outcome in at_once(&names, &up) {
            outcome.ok();
        }
        clusters.iter().for_each(|cluster| drop(cluster.wait_until_running()));
        for outcome in at_once(&names, &["down"]) {
            outcome.ok();
        }
        for_none("removal of all that belonged to the clusters", REMOVAL_TIMEOUT, || {
            clusters.iter().flat_map(|cluster| remains(&before, cluster)).collect()
        });
        (count * 2, None)
    });
    all.case(1, format!("{MAX_CLUSTERS} `up` of the same name at once, then {MAX_CLUSTERS} `down`"), || {
        let checked = CheckedCluster::new("same");
        let same = [&checked.cluster; MAX_CLUSTERS];
        let (first, others): (Vec<Outcome>, Vec<Outcome>) =
            at_once(&same, &up).into_iter().partition(|outcome| outcome.code == 0);
        assert_eq!(first.len(), 1, "{others:?}");
        for outcome in others {
            // Another command boots the cluster, or has booted it.
            outcome.exits(4);
        }
        checked.wait_until_healthy();
        let ends = at_once(&same, &["down"]);
        assert!(ends.iter().any(|outcome| outcome.code == 0), "{ends:?}");
        for outcome in ends {
            checked.check_outcome(&outcome);
            // 5: the cluster was removed already.
            assert!([0, 5].contains(&outcome.code), "{outcome:?}");
        }
        checked.check_removed();
        (MAX_CLUSTERS * 2, None)
    });
    all.case(2, "`up` and `down` of the same name at once, several times", || {
        let checked = CheckedCluster::new("both");
        for _ in 0..if long { 10 } else { 3 } {
            thread::scope(|scope| {
                let booting = scope.spawn(|| at_once(&[&checked.cluster; 2], &up));
                let ending = scope.spawn(|| at_once(&[&checked.cluster; 3], &["down"]));
                for outcome in [booting, ending].into_iter().flat_map(|one| one.join().expect("commands that end")) {
                    checked.check_outcome(&outcome);
                }
            });
        }
        checked.destroy();
        checked.check_removed();
        (if long { 50 } else { 15 }, None)
    });
    all.end()
}
