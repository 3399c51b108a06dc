//! Shows events as a display on a terminal: a line for each tool that is being built, then a line
//! for each instance.

use super::echo::EchoOff;
use super::{Clock, Seconds, lock};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kubernix_host::events::{Event, ToolState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The maximum number of redraws per second. It is low, because the boot needs the processor.
const REDRAWS_PER_SECOND: u8 = 12;
/// The minimum width of instance names, in columns.
const NAME_WIDTH: usize = 24;

/// The display.
pub(super) struct Bars {
    screen: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Disables the terminal's echo while the display is shown.
    echo_off: Option<EchoOff>,
    clock: Clock,
    /// The bottom line with the running time.
    footer: Option<ProgressBar>,
    instances: BTreeMap<String, ProgressBar>,
    /// Failed instances. Their lines aren't changed by the clean-up that follows.
    failed: BTreeSet<String>,
    tools: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// An empty display on standard error.
    pub fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND);
        let state = State { echo_off: Some(EchoOff::begin()), ..State::default() };
        Self { screen: MultiProgress::with_draw_target(target), state: Mutex::new(state) }
    }

    /// A handle for printing above the display.
    pub fn screen(&self) -> MultiProgress {
        self.screen.clone()
    }

    /// Shows an event.
    pub fn show(&self, event: &Event, now: Instant) {
        let state = &mut *lock(&self.state);
        state.clock.record(event, now);
        let since = Seconds(state.clock.since(now));
        match event {
            Event::BootStarted { cluster, .. } => self.footer(state, format!("booting {cluster}")),
            Event::Planned { instance, waits_for, .. } => {
                let message =
                    if waits_for.is_empty() { "waits".into() } else { format!("waits for {}", waits_for.join(", ")) };
                self.instance(state, instance, Look::Waiting, message);
            }
            Event::Started { instance } => self.instance(state, instance, Look::Working, "starting".into()),
            Event::RoleReady { instance, role } => {
                self.instance(state, instance, Look::Working, format!("starting, {role} answers after {since}"));
            }
            Event::Ready { instance } => self.instance(state, instance, Look::Done, format!("ready after {since}")),
            Event::Failed { instance, error } => {
                let first = error.lines().next().unwrap_or_default();
                self.instance(state, instance, Look::Failed, format!("failed: {first}"));
            }
            Event::Unresponsive { instance, .. } => {
                self.instance(state, instance, Look::Failed, "doesn't respond".into())
            }
            Event::Exited { instance, restarting: true, .. } => {
                self.instance(state, instance, Look::Working, "restarting".into());
            }
            Event::Exited { instance, status, .. } => {
                self.instance(state, instance, Look::Failed, format!("ended with {status}"));
            }
            Event::Stopping { instance } => self.instance(state, instance, Look::Working, "stopping".into()),
            Event::Stopped { instance } => self.instance(state, instance, Look::Waiting, "stopped".into()),
            Event::Tool { name, state: tool } => self.tool(state, name, tool),
            Event::BootReady
            | Event::BootFailed { .. }
            | Event::Changed
            | Event::ChangeFailed { .. }
            | Event::ChangeRefused { .. }
            | Event::ChangeStale => {
                if let Some(footer) = state.footer.take() {
                    footer.finish_and_clear();
                }
            }
            Event::Note { .. } | Event::Warning { .. } => {}
        }
    }

    /// Ends the display. The lines of instances stay on the terminal.
    pub fn finish(&self) {
        let state = &mut *lock(&self.state);
        for bar in state.footer.take().into_iter().chain(std::mem::take(&mut state.tools).into_values()) {
            bar.finish_and_clear();
        }
        for line in std::mem::take(&mut state.instances).into_values() {
            line.abandon();
        }
        state.echo_off = None;
    }

    fn footer(&self, state: &mut State, message: String) {
        let footer = state.footer.get_or_insert_with(|| {
            let bar =
                self.screen.add(ProgressBar::new_spinner().with_style(style("{spinner:.cyan} {msg} {elapsed:.dim}")));
            // The only line that is redrawn without an event, by a thread of its own.
            bar.enable_steady_tick(Duration::from_millis(125));
            bar
        });
        footer.set_message(message);
    }

    fn instance(&self, state: &mut State, name: &str, look: Look, message: String) {
        match look {
            Look::Failed => drop(state.failed.insert(name.to_owned())),
            _ if state.failed.contains(name) => return,
            _ => {}
        }
        let line = state.instances.entry(name.to_owned()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_prefix(format!("{name:NAME_WIDTH$}"));
            match &state.footer {
                Some(footer) => self.screen.insert_before(footer, bar),
                None => self.screen.add(bar),
            }
        });
        line.set_style(style(look.template()));
        line.set_message(message);
        line.tick();
    }

    fn tool(&self, state: &mut State, name: &str, tool: &ToolState) {
        let (template, message) = match tool {
            // Most tools are found at once, so their lines would only flicker.
            ToolState::Checking => return,
            ToolState::Ready { .. } | ToolState::Failed { .. } => {
                if let Some(bar) = state.tools.remove(name) {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
                return;
            }
            ToolState::Installing { command } => ("{spinner:.cyan} {prefix} {wide_msg:.dim}", command.clone()),
            ToolState::Building { detail, total: 0, .. } => {
                ("{spinner:.cyan} {prefix} {elapsed:>5} {wide_msg:.dim}", detail.clone())
            }
            ToolState::Building { detail, .. } => (
                "{spinner:.cyan} {prefix} {elapsed:>5} [{bar:24.cyan/dim}] {pos}/{len} {wide_msg:.dim}",
                detail.clone(),
            ),
        };
        let bar = state.tools.entry(name.to_owned()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_prefix(format!("{name:NAME_WIDTH$}"));
            let bar = match &state.footer {
                Some(footer) => self.screen.insert_before(footer, bar),
                None => self.screen.add(bar),
            };
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        bar.set_style(style(template).progress_chars("━╸─"));
        if let ToolState::Building { done, total, .. } = tool {
            bar.set_length(*total);
            bar.set_position(*done);
        }
        bar.set_message(message);
    }
}

/// The style of an instance's line.
#[derive(Debug, Clone, Copy)]
enum Look {
    Waiting,
    Working,
    Done,
    Failed,
}

impl Look {
    fn template(self) -> &'static str {
        match self {
            Self::Waiting => "{prefix:.dim}  · {wide_msg:.dim}",
            Self::Working => "{prefix}  ● {wide_msg:.cyan}",
            Self::Done => "{prefix}  ✔ {wide_msg:.green}",
            Self::Failed => "{prefix}  ✘ {wide_msg:.red}",
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and a test parses each of them. An invalid one would only give a
    // plain line.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid() {
        for look in [Look::Waiting, Look::Working, Look::Done, Look::Failed] {
            assert!(ProgressStyle::with_template(look.template()).is_ok(), "{look:?}");
        }
    }

    fn hidden() -> Bars {
        Bars { screen: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), state: Mutex::default() }
    }

    #[test]
    fn a_failed_instance_keeps_its_line_during_the_clean_up() {
        let (bars, now) = (hidden(), Instant::now());
        let name = || "etcd".to_owned();
        bars.show(&Event::Failed { instance: name(), error: "no disk\nlog".into() }, now);
        bars.show(&Event::Stopping { instance: name() }, now);
        bars.show(&Event::Stopped { instance: name() }, now);
        assert_eq!(lock(&bars.state).instances["etcd"].message(), "failed: no disk");
    }

    #[test]
    fn lines_are_added_with_events_and_removed_at_the_end() {
        let (bars, now) = (hidden(), Instant::now());
        let name = || "etcd".to_owned();
        let building = ToolState::Building { detail: "x".into(), done: 4, total: 9 };
        bars.show(&Event::Tool { name: name(), state: building }, now);
        assert_eq!(lock(&bars.state).tools["etcd"].position(), 4);
        let ready = ToolState::Ready { provider: "go".into(), version: "1".into(), path: "/x".into() };
        bars.show(&Event::Tool { name: name(), state: ready }, now);
        assert!(lock(&bars.state).tools.is_empty());
        bars.show(&Event::BootStarted { cluster: "a".into(), version: "1".into() }, now);
        bars.show(&Event::Started { instance: name() }, now);
        bars.show(&Event::Ready { instance: name() }, now + Duration::from_secs(2));
        assert_eq!(lock(&bars.state).instances["etcd"].message(), "ready after 2.00 s");
        bars.finish();
        let state = lock(&bars.state);
        assert!(state.footer.is_none() && state.instances.is_empty());
    }
}
