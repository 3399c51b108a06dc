//! Formats the timeline as a table with a bar for each instance.

use super::{Row, Timeline, time};
use std::fmt;

/// The width of a bar, in characters.
const BAR: u64 = 32;

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.rows.iter().map(|row| row.instance.chars().count()).max().unwrap_or(0).max("INSTANCE".len());
        let phase = self.rows.iter().map(|row| row.phase.chars().count()).max().unwrap_or(0).max("PHASE".len());
        let end = self.end_ms();
        let axis = format!("0{:>width$}", time(end), width = BAR as usize - 1);
        writeln!(
            f,
            "{:name$}  {:phase$}  {:>8}  {:>8}  {:>8}  {axis}  WAITED FOR",
            "INSTANCE", "PHASE", "WAITED", "STARTING", "READY AT"
        )?;
        for row in &self.rows {
            let line = format!(
                "{:name$}  {:phase$}  {:>8}  {:>8}  {:>8}  {}  {}",
                row.instance,
                row.phase,
                cell(row.waited_ms),
                cell(row.starting_ms),
                cell(row.ready_ms),
                bar(row, end),
                row.waits_for.join(", "),
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
        match (self.total_ms, &self.error) {
            (Some(total), _) => writeln!(f, "ready after {}", time(total))?,
            (None, Some(error)) => writeln!(f, "the boot failed after {}: {}", time(end), first_line(error))?,
            (None, None) => writeln!(f, "the boot is still running")?,
        }
        // The error of the boot usually includes that of an instance, which isn't repeated.
        let is_shown = |error: &str| self.error.as_ref().is_some_and(|shown| shown.contains(first_line(error)));
        for row in &self.rows {
            if let Some(error) = row.error.as_ref().filter(|error| !is_shown(error)) {
                writeln!(f, "{} failed: {}", row.instance, first_line(error))?;
            }
        }
        Ok(())
    }
}

/// The first line of an error. The others are the end of a process's log, which `kubernix logs`
/// shows.
fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}

fn cell(ms: Option<u64>) -> String {
    ms.map_or_else(|| "-".to_owned(), time)
}

/// A bar: dots while waiting, solid while starting. A started instance has at least one solid
/// character.
fn bar(row: &Row, end: u64) -> String {
    let cells = |ms: u64| (ms * BAR / end).min(BAR);
    let started = row.waited_ms.map_or(BAR, |ms| cells(ms).min(BAR - 1));
    let ready = row.ready_ms.map_or(BAR, |ms| cells(ms).max(started + 1).min(BAR));
    (0..BAR)
        .map(|i| {
            if i < started {
                '·'
            } else if i < ready {
                '█'
            } else {
                ' '
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::RECORDED;
    use super::*;
    use crate::events::{Event, Record, records};

    #[test]
    fn columns_are_aligned_and_each_instance_has_a_bar() {
        let recorded: Vec<Record> = records(RECORDED.as_bytes()).collect();
        let text = Timeline::of(&recorded).unwrap().to_string();
        let lines: Vec<&str> = text.lines().collect();
        let column = lines[0].find("READY AT").unwrap() + "READY AT".len();
        let kubelet = lines.iter().find(|line| line.starts_with("kubelet")).unwrap();
        assert!(kubelet[..column].ends_with("2.19 s"), "{text}");
        assert!(kubelet.ends_with("cri") && kubelet.contains("·█"), "{text}");
        assert_eq!(lines.last(), Some(&"ready after 3.18 s"));
    }

    #[test]
    fn the_error_of_a_failed_boot_is_shown_once_and_without_logs() {
        let error = "etcd exited with status 1; the end of its log:\n  no space left";
        let mut records: Vec<Record> = records(RECORDED.as_bytes()).take(2).collect();
        let at_us = records[0].at_us + 95_000;
        let instance = || "etcd".to_owned();
        for event in [
            Event::Failed { instance: instance(), error: error.into() },
            Event::BootFailed { error: format!("etcd failed: {error}"), timed_out: false },
        ] {
            records.push(Record { at_us, event });
        }
        let text = Timeline::of(&records).unwrap().to_string();
        assert_eq!(text.matches("status 1").count(), 1, "{text}");
        assert!(
            text.contains("the boot failed after 95 ms: etcd failed: etcd exited") && !text.contains("no space"),
            "{text}"
        );
    }

    #[test]
    fn bars_have_the_same_width_at_both_ends_of_the_axis() {
        let mut row = Row::new("x");
        row.waited_ms = Some(100);
        row.ready_ms = Some(100);
        assert_eq!(bar(&row, 100), format!("{}█", "·".repeat(31)));
        row.waited_ms = Some(0);
        row.ready_ms = Some(0);
        assert_eq!(bar(&row, 100), format!("█{}", " ".repeat(31)));
        row.waited_ms = None;
        row.ready_ms = None;
        assert_eq!(bar(&row, 100), "·".repeat(32));
    }
}
