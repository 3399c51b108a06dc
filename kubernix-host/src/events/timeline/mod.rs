//! The timeline of a boot: how long each instance waited, how long it took to start, and when it
//! was ready.
//!
//! It is computed from recorded events only, so it is available at any time after a boot. Output
//! formats are text (`Display`), JSON (`Serialize`) and a chart ([`Timeline::svg`]).

mod gantt;
mod text;

use super::{Event, Record};
use serde::Serialize;
use std::io;
use std::path::Path;

/// The timeline of the last boot in a stream of events. All times are milliseconds since that boot
/// began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The cluster's name.
    pub cluster: String,
    /// The version of KuberNix that booted it.
    pub version: String,
    /// The number of boots in the stream.
    pub boots: usize,
    /// When the cluster was ready. `None`: it isn't ready yet, or the boot failed.
    pub total_ms: Option<u64>,
    /// Why the boot failed.
    pub error: Option<String>,
    /// The instances in the order of their starts. Instances that didn't start come last.
    pub rows: Vec<Row>,
    /// The time of the last event.
    #[serde(skip)]
    end_ms: u64,
}

/// The times of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The instance as users see it: `CRI-O (node 0)`.
    pub instance: String,
    /// The component's name. Empty for the host's own steps.
    pub component: String,
    /// The phase it belongs to.
    pub phase: String,
    /// The roles that had to be ready before it started.
    pub waits_for: Vec<String>,
    /// How long it waited, and so when it started. `None`: it didn't start.
    pub waited_ms: Option<u64>,
    /// The time from its start until it was ready.
    pub starting_ms: Option<u64>,
    /// When it was ready.
    pub ready_ms: Option<u64>,
    /// When each of its roles was ready, in order.
    pub roles: Vec<RoleReady>,
    /// Why it failed during the boot.
    pub error: Option<String>,
}

/// The time at which a role was ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleReady {
    /// The role.
    pub role: String,
    /// When.
    pub ready_ms: u64,
}

impl Row {
    fn new(instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            component: String::new(),
            phase: String::new(),
            waits_for: Vec::new(),
            waited_ms: None,
            starting_ms: None,
            ready_ms: None,
            roles: Vec::new(),
            error: None,
        }
    }
}

impl Timeline {
    /// The timeline of the last boot in a file of events; `None` if it has no boot.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        Ok(Self::of(&super::read(path)?))
    }

    /// The timeline of the last boot in these events; `None` if they have no boot.
    pub fn of(records: &[Record]) -> Option<Self> {
        let is_start = |record: &Record| matches!(record.event, Event::BootStarted { .. });
        let boots = records.iter().filter(|r| is_start(r)).count();
        let boot = &records[records.iter().rposition(is_start)?..];
        let Event::BootStarted { cluster, version } = &boot[0].event else { return None };
        let mut timeline = Self {
            cluster: cluster.clone(),
            version: version.clone(),
            boots,
            total_ms: None,
            error: None,
            rows: Vec::new(),
            end_ms: 0,
        };
        for record in &boot[1..] {
            timeline.apply(record.at_us.saturating_sub(boot[0].at_us) / 1000, &record.event);
            // Later events, such as restarts and the stop, aren't part of the boot.
            if matches!(record.event, Event::BootReady | Event::BootFailed { .. }) {
                break;
            }
        }
        // The sort is stable: instances that started at the same time stay in their planned order.
        timeline.rows.sort_by_key(|row| (row.waited_ms.unwrap_or(u64::MAX), row.ready_ms.unwrap_or(u64::MAX)));
        Some(timeline)
    }

    fn apply(&mut self, at: u64, event: &Event) {
        self.end_ms = self.end_ms.max(at);
        match event {
            Event::Planned { instance, component, phase, waits_for } => {
                let row = self.row(instance);
                row.component.clone_from(component);
                row.phase.clone_from(phase);
                row.waits_for.clone_from(waits_for);
            }
            // Only the first start counts: an instance with a restarted process is still starting.
            Event::Started { instance } => {
                self.row(instance).waited_ms.get_or_insert(at);
            }
            Event::RoleReady { instance, role } => {
                let row = self.row(instance);
                if row.roles.iter().all(|known| known.role != *role) {
                    row.roles.push(RoleReady { role: role.clone(), ready_ms: at });
                }
            }
            Event::Ready { instance } => {
                let row = self.row(instance);
                if row.ready_ms.is_none() {
                    let started = *row.waited_ms.get_or_insert(at);
                    (row.ready_ms, row.starting_ms) = (Some(at), Some(at.saturating_sub(started)));
                }
            }
            Event::Failed { instance, error } => self.row(instance).error = Some(error.clone()),
            Event::BootReady => self.total_ms = Some(at),
            Event::BootFailed { error, .. } => self.error = Some(error.clone()),
            _ => {}
        }
    }

    fn row(&mut self, instance: &str) -> &mut Row {
        let index = self.rows.iter().position(|row| row.instance == instance).unwrap_or_else(|| {
            self.rows.push(Row::new(instance));
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    /// The time of the last event, at least 1: it is used as a divisor.
    fn end_ms(&self) -> u64 {
        self.end_ms.max(1)
    }
}

/// Formats a time for output: `12 ms`, `1.23 s`.
fn time(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        // Truncated to hundredths, not rounded: 1.999 s isn't shown as 2 s.
        _ => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failed boot, and a successful one with a restart and a stop.
    pub(super) const RECORDED: &str = include_str!("recorded.jsonl");

    #[test]
    fn the_timeline_is_of_the_last_boot_until_the_cluster_is_ready() {
        let records: Vec<Record> = super::super::records(RECORDED.as_bytes()).collect();
        let timeline = Timeline::of(&records).unwrap();
        assert_eq!((timeline.boots, timeline.total_ms, &timeline.error), (2, Some(3180), &None));
        let order: Vec<&str> = timeline.rows.iter().map(|row| row.instance.as_str()).collect();
        assert_eq!(order[..3], ["certificates", "sandbox", "etcd"]);
        assert_eq!(order.last(), Some(&"default service account"));
        let kubelet = timeline.rows.iter().find(|row| row.component == "kubelet").unwrap();
        assert_eq!(
            (kubelet.waited_ms, kubelet.starting_ms, kubelet.ready_ms),
            (Some(412), Some(1778), Some(2190)),
            "the restart after the boot changes nothing"
        );
        assert_eq!(kubelet.waits_for, ["cri"]);
        let api = timeline.rows.iter().find(|row| row.component == "apiserver").unwrap();
        assert_eq!(api.roles[0], RoleReady { role: "apiserver-port".into(), ready_ms: 1290 });
    }

    #[test]
    fn a_failed_boot_has_the_times_until_its_failure() {
        let first: Vec<&str> = RECORDED.lines().take_while(|line| !line.contains("boot-failed")).collect();
        let records: Vec<Record> = super::super::records(first.join("\n").as_bytes()).collect();
        let timeline = Timeline::of(&records).unwrap();
        assert_eq!((timeline.boots, timeline.total_ms), (1, None));
        let etcd = timeline.rows.iter().find(|row| row.component == "etcd").unwrap();
        assert_eq!(
            (etcd.ready_ms, etcd.error.as_deref()),
            (None, Some("etcd exited with status 1 before it was ready"))
        );
        assert_eq!(timeline.rows.last().unwrap().instance, "kube-apiserver", "instances that didn't start come last");
    }

    #[test]
    fn events_without_a_boot_have_no_timeline() {
        assert_eq!(Timeline::of(&[Record { at_us: 1, event: Event::BootReady }]), None);
    }

    #[test]
    fn times_are_truncated() {
        assert_eq!([time(0), time(999), time(1999), time(61_005)], ["0 ms", "999 ms", "1.99 s", "61.00 s"]);
    }
}
