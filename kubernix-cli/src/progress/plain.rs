//! Shows events as plain lines, for logs and pipes. Routine events give debug lines only.

use super::{Clock, Seconds, Tools};
use kubernix_host::events::{Event, ToolState};
use log::Level;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The maximum interval between two lines of a build.
const BUILD_INTERVAL: Duration = Duration::from_secs(30);

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its level.
    pub level: Level,
    /// The text, without the level.
    pub text: String,
    /// Whether a display shows the same.
    pub displayed: bool,
}

/// The state between events.
#[derive(Debug, Default)]
pub(super) struct Plain {
    clock: Clock,
    tools: Tools,
    /// The time of the last line of each tool that is being built, and its progress in tenths.
    builds: BTreeMap<String, (Instant, u64)>,
}

impl Plain {
    /// The lines for an event.
    pub fn lines(&mut self, event: &Event, now: Instant) -> Vec<Line> {
        self.clock.record(event, now);
        self.tools.count(event);
        let summary = self.tools.summary(event);
        let line = |level, displayed, text| Line { level, text, displayed };
        let summary = summary.map(|text| line(Level::Info, false, text));
        let own = self.text(event, now).map(|(level, displayed, text)| line(level, displayed, text));
        summary.into_iter().chain(own).collect()
    }

    fn text(&mut self, event: &Event, now: Instant) -> Option<(Level, bool, String)> {
        let since = Seconds(self.clock.since(now));
        let shown = |text| Some((Level::Info, true, text));
        match event {
            Event::BootStarted { cluster, .. } => shown(format!("booting cluster `{cluster}`")),
            Event::Planned { .. } => None,
            Event::Started { instance } => shown(format!("{instance}: starting")),
            Event::RoleReady { instance, role } => {
                Some((Level::Debug, true, format!("{instance}: `{role}` answers after {since}")))
            }
            Event::Ready { instance } => shown(format!("{instance}: ready after {since}")),
            Event::Failed { instance, error } => Some((Level::Warn, true, format!("{instance}: failed: {error}"))),
            Event::Unresponsive { instance, reason } => {
                Some((Level::Warn, true, format!("{instance}: doesn't respond: {reason}")))
            }
            Event::Exited { instance, process, status, restarting } => {
                let next = if *restarting { "restarting it" } else { "it isn't restarted" };
                Some((Level::Warn, false, format!("{instance}: {process} ended with {status}, {next}")))
            }
            Event::Stopping { instance } => Some((Level::Debug, true, format!("{instance}: stopping"))),
            Event::Stopped { instance } => shown(format!("{instance}: stopped")),
            Event::Tool { name, state } => self.tool(name, state, now),
            Event::Note { message } => Some((Level::Info, false, message.clone())),
            Event::Warning { message } => Some((Level::Warn, false, message.clone())),
            Event::BootReady => shown(format!("cluster ready after {since}")),
            Event::Changed => shown("changed".into()),
            // The command returns these errors, and reports them itself.
            Event::ChangeFailed { error, .. } => Some((Level::Debug, true, format!("the change failed: {error}"))),
            Event::ChangeRefused { .. } | Event::ChangeStale => None,
            Event::BootFailed { error, .. } => Some((Level::Debug, true, format!("the boot failed: {error}"))),
        }
    }

    fn tool(&mut self, name: &str, state: &ToolState, now: Instant) -> Option<(Level, bool, String)> {
        match state {
            ToolState::Checking => Some((Level::Debug, true, format!("{name}: looking for it"))),
            ToolState::Installing { command } => Some((Level::Info, false, format!("{name}: installing: {command}"))),
            ToolState::Building { detail, done, total } => {
                let tenth = if *total == 0 { 0 } else { done * 10 / total };
                let last = self.builds.get(name);
                if last.is_some_and(|(at, reached)| *reached == tenth && now.duration_since(*at) < BUILD_INTERVAL) {
                    return None;
                }
                self.builds.insert(name.to_owned(), (now, tenth));
                let counted = if *total == 0 { String::new() } else { format!(" {done}/{total}") };
                Some((Level::Info, true, format!("{name}: building{counted}: {detail}")))
            }
            ToolState::Ready { provider, version, path } => {
                // Built tools get a line. The others are only counted in the summary.
                let level = if self.builds.remove(name).is_some() { Level::Info } else { Level::Debug };
                Some((level, false, format!("{name}: {version} from {provider}: {}", path.display())))
            }
            ToolState::Failed { error } => Some((Level::Warn, true, format!("{name}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(plain: &mut Plain, event: Event, now: Instant) -> Vec<String> {
        plain.lines(&event, now).into_iter().map(|line| format!("{} {}", line.level, line.text)).collect()
    }

    fn tool(state: ToolState) -> Event {
        Event::Tool { name: "etcd".into(), state }
    }

    #[test]
    fn lines_of_a_boot_have_times_since_its_start() {
        let (mut plain, start) = (Plain::default(), Instant::now());
        let later = start + Duration::from_millis(1234);
        let instance = || "CRI-O (node 0)".to_owned();
        texts(&mut plain, Event::Note { message: "before".into() }, start - Duration::from_secs(9));
        let begun = Event::BootStarted { cluster: "a".into(), version: "1".into() };
        assert_eq!(texts(&mut plain, begun, start), ["INFO booting cluster `a`"]);
        assert_eq!(
            texts(&mut plain, Event::Started { instance: instance() }, later),
            ["INFO CRI-O (node 0): starting"]
        );
        assert_eq!(
            texts(&mut plain, Event::Ready { instance: instance() }, later),
            ["INFO CRI-O (node 0): ready after 1.23 s"]
        );
        let exited =
            Event::Exited { instance: instance(), process: "crio".into(), status: "signal 9".into(), restarting: true };
        assert_eq!(texts(&mut plain, exited, later), ["WARN CRI-O (node 0): crio ended with signal 9, restarting it"]);
        assert_eq!(texts(&mut plain, Event::BootReady, later), ["INFO cluster ready after 1.23 s"]);
    }

    #[test]
    fn a_build_shows_each_tenth_and_a_line_after_the_interval() {
        let (mut plain, start) = (Plain::default(), Instant::now());
        let building = |done| tool(ToolState::Building { detail: "x".into(), done, total: 100 });
        let mut lines = 0;
        for done in 0..=50 {
            lines += texts(&mut plain, building(done), start).len();
        }
        assert_eq!(lines, 6);
        assert_eq!(texts(&mut plain, building(51), start + BUILD_INTERVAL), ["INFO etcd: building 51/100: x"]);
        let unknown = tool(ToolState::Building { detail: "y".into(), done: 3, total: 0 });
        assert_eq!(texts(&mut Plain::default(), unknown, start), ["INFO etcd: building: y"]);
    }

    #[test]
    fn found_tools_are_counted_once() {
        let (mut plain, now) = (Plain::default(), Instant::now());
        for provider in ["cache", "path", "cache"] {
            let state = ToolState::Ready { provider: provider.into(), version: "1".into(), path: "/x".into() };
            assert!(texts(&mut plain, tool(state), now)[0].starts_with("DEBUG"));
        }
        let started = || Event::Started { instance: "a".into() };
        assert_eq!(
            texts(&mut plain, started(), now),
            ["INFO toolchain: 3 tools ready (2 from cache, 1 from path)", "INFO a: starting"]
        );
        assert_eq!(texts(&mut plain, started(), now), ["INFO a: starting"]);
    }
}
