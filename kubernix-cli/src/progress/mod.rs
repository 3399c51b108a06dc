//! Shows the events of a cluster: as a display with a line for each instance on a terminal,
//! otherwise as plain lines.
//!
//! While a display is shown, standard error must be written through [`print`]. Other output would
//! corrupt the display.

mod bars;
mod echo;
mod plain;

use crate::cli::{Global, LogFormat};
use bars::Bars;
use indicatif::MultiProgress;
use kubernix_host::events::{Event, Sink, ToolState};
use plain::Plain;
use std::collections::BTreeMap;
use std::fmt::{Arguments, Display};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The display that is shown, if any.
static SCREEN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Locks a mutex. Ignores poisoning: no change under these locks can be left incomplete by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to standard error, above the display if one is shown.
pub fn print(line: &Arguments<'_>) {
    let screen = lock(&SCREEN).clone();
    // If standard error is closed, the error can't be reported either.
    let write = || drop(writeln!(std::io::stderr().lock(), "{line}"));
    match screen {
        Some(screen) => screen.suspend(write),
        None => write(),
    }
}

/// Shows events until [`Progress::finish`] is called, or until it is dropped.
pub struct Progress {
    plain: Mutex<Plain>,
    bars: Option<Bars>,
}

impl Progress {
    /// Shows a display if standard error is a terminal and the flags permit it, otherwise plain
    /// lines.
    pub fn new(flags: &Global) -> Arc<Self> {
        let has_display = !flags.quiet && flags.log_format == LogFormat::Text && std::io::stderr().is_terminal();
        let bars = has_display.then(|| {
            let bars = Bars::new();
            *lock(&SCREEN) = Some(bars.screen());
            bars
        });
        Arc::new(Self { plain: Mutex::new(Plain::default()), bars })
    }

    /// Ends the display. Its lines stay on the terminal, and later output follows them.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            *lock(&SCREEN) = None;
            bars.finish();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Sink for Progress {
    fn emit(&self, event: Event) {
        let now = Instant::now();
        let lines = lock(&self.plain).lines(&event, now);
        if let Some(bars) = &self.bars {
            bars.show(&event, now);
        }
        for line in lines {
            // Lines that the display shows aren't logged as well.
            if self.bars.is_none() || !line.displayed {
                log::log!(line.level, "{}", line.text);
            }
        }
    }
}

/// The start of a boot, for times relative to it.
#[derive(Debug, Default)]
struct Clock(Option<Instant>);

impl Clock {
    /// Records the start of a boot.
    fn record(&mut self, event: &Event, now: Instant) {
        if matches!(event, Event::BootStarted { .. }) || self.0.is_none() {
            self.0 = Some(now);
        }
    }

    fn since(&self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |began| now.duration_since(began))
    }
}

/// Formats a duration in seconds with two decimals.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}

/// The number of tools that each provider supplied.
#[derive(Debug, Default)]
struct Tools(BTreeMap<String, usize>);

impl Tools {
    /// Counts a ready tool.
    fn count(&mut self, event: &Event) {
        if let Event::Tool { state: ToolState::Ready { provider, .. }, .. } = event {
            *self.0.entry(provider.clone()).or_default() += 1;
        }
    }

    /// The summary. Returned once, for the first event after the last tool.
    fn summary(&mut self, event: &Event) -> Option<String> {
        let is_over = matches!(event, Event::Planned { .. } | Event::Started { .. } | Event::BootReady);
        if self.0.is_empty() || !is_over {
            return None;
        }
        let found = std::mem::take(&mut self.0);
        let total: usize = found.values().sum();
        let parts: Vec<String> = found.iter().map(|(provider, count)| format!("{count} from {provider}")).collect();
        Some(format!("toolchain: {total} tools ready ({})", parts.join(", ")))
    }
}
