//! Many commands at once, on clusters of other names and of the same one: each works or says why
//! not, and in the end nothing is left.

use super::law::{GONE, Law};
use super::remains::remains;
use super::suite::{Cases, Options};
use kubernix_tests::{Cluster, Outcome, Snapshot, for_none, room_for_clusters, run_for};
use std::thread;
use std::time::Duration;

/// What `--faults` calls this part.
pub const PART: &str = "crowd";
/// How many clusters there are at most.
const MOST: usize = 10;
/// How long a boot among ten may take on two cores.
const BOOT: Duration = Duration::from_secs(300);

/// Runs a command on all of these at once.
fn at_once(clusters: &[&Cluster], command: &[&str]) -> Vec<Outcome> {
    thread::scope(|scope| {
        let run = |cluster: &&Cluster| {
            let mut command = cluster.command(command);
            scope.spawn(move || run_for(&mut command, BOOT))
        };
        let running: Vec<_> = clusters.iter().map(run).collect();
        running.into_iter().map(|one| one.join().expect("a command that ends")).collect()
    })
}

/// Ten `up` and `down` at once, or as many as there is room for.
pub fn ups_and_downs_at_once() -> Result<(), String> {
    let long = Options::get().long;
    let count = room_for_clusters().min(if long { MOST } else { 3 });
    let mut all = Cases::new(PART);
    let up = ["up", "--addons", "none", "--boot-timeout", "240"];
    all.case(0, format!("{count} `up` and `down` of other names at once"), || {
        assert!(count > 1, "there are inotify instances for {count} clusters only");
        let clusters: Vec<Cluster> = (0..count).map(|_| Cluster::new("crowd")).collect();
        let before = Snapshot::take(&clusters[0].name, clusters[0].base());
        let names: Vec<&Cluster> = clusters.iter().collect();
        for outcome in at_once(&names, &up) {
            outcome.ok();
        }
        clusters.iter().for_each(|cluster| drop(cluster.running()));
        for outcome in at_once(&names, &["down"]) {
            outcome.ok();
        }
        for_none("end of all that the clusters were", GONE, || {
            clusters.iter().flat_map(|cluster| remains(&before, cluster)).collect()
        });
        (count * 2, None)
    });
    all.case(1, format!("{MOST} `up` of the same name at once, then {MOST} `down`"), || {
        let law = Law::new("same");
        let same = [&law.cluster; MOST];
        let (first, others): (Vec<Outcome>, Vec<Outcome>) =
            at_once(&same, &up).into_iter().partition(|outcome| outcome.code == 0);
        assert_eq!(first.len(), 1, "{others:?}");
        for outcome in others {
            // Another one boots it, or did.
            outcome.exits(4);
        }
        law.healed();
        let ends = at_once(&same, &["down"]);
        assert!(ends.iter().any(|outcome| outcome.code == 0), "{ends:?}");
        for outcome in ends {
            law.is_no_accident(&outcome);
            // 5: it was gone already.
            assert!([0, 5].contains(&outcome.code), "{outcome:?}");
        }
        law.is_gone();
        (MOST * 2, None)
    });
    all.case(2, "`up` and `down` of the same name at once, several times", || {
        let law = Law::new("both");
        for _ in 0..if long { 10 } else { 3 } {
            thread::scope(|scope| {
                let booting = scope.spawn(|| at_once(&[&law.cluster; 2], &up));
                let ending = scope.spawn(|| at_once(&[&law.cluster; 3], &["down"]));
                for outcome in [booting, ending].into_iter().flat_map(|one| one.join().expect("commands that end")) {
                    law.is_no_accident(&outcome);
                }
            });
        }
        law.end();
        law.is_gone();
        (if long { 50 } else { 15 }, None)
    });
    all.end()
}
