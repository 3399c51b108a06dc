//! Counts the events of histories, because histories in which nothing happens test nothing.

/// The number of events in histories.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub booted: u64,
    pub boot_failures: u64,
    pub stops: u64,
    pub kills: u64,
    pub commits: u64,
    pub failed_changes: u64,
    pub not_restored: u64,
    pub stale: u64,
    pub restarts: u64,
    pub failed: u64,
    pub unresponsive: u64,
    pub nodes_created: u64,
    pub nodes_ended: u64,
}

impl Tally {
    pub(super) fn all(&self) -> [u64; 13] {
        let Self { booted, boot_failures, stops, kills, commits, failed_changes, not_restored, stale, .. } = *self;
        let Self { restarts, failed, unresponsive, nodes_created, nodes_ended, .. } = *self;
        [
            booted,
            boot_failures,
            stops,
            kills,
            commits,
            failed_changes,
            not_restored,
            stale,
            restarts,
            failed,
            unresponsive,
            nodes_created,
            nodes_ended,
        ]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.booted += other.booted;
        self.boot_failures += other.boot_failures;
        self.stops += other.stops;
        self.kills += other.kills;
        self.commits += other.commits;
        self.failed_changes += other.failed_changes;
        self.not_restored += other.not_restored;
        self.stale += other.stale;
        self.restarts += other.restarts;
        self.failed += other.failed;
        self.unresponsive += other.unresponsive;
        self.nodes_created += other.nodes_created;
        self.nodes_ended += other.nodes_ended;
    }
}
