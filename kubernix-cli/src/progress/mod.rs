//! What happens to a cluster, shown while it happens: a line for each instance on a terminal, plain lines elsewhere.
//!
//! Everything that goes to standard error while a display is up has to go through [`print`], or it would tear the display.

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

/// The display that is up, if any.
static SCREEN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// A lock whose holder can't leave things half done: a panic elsewhere is no reason to stop showing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a line to standard error, above the display where one is up.
pub fn print(line: &Arguments<'_>) {
    let screen = lock(&SCREEN).clone();
    // Nobody is left to be told if standard error is closed.
    let write = || drop(writeln!(std::io::stderr().lock(), "{line}"));
    match screen {
        Some(screen) => screen.suspend(write),
        None => write(),
    }
}

/// Shows events. Ends with [`Progress::finish`], or with the value.
pub struct Progress {
    plain: Mutex<Plain>,
    bars: Option<Bars>,
}

impl Progress {
    /// Shows events as the flags and standard error allow.
    pub fn new(flags: &Global) -> Arc<Self> {
        let fancy = !flags.quiet && flags.log_format == LogFormat::Text && std::io::stderr().is_terminal();
        let bars = fancy.then(|| {
            let bars = Bars::new();
            *lock(&SCREEN) = Some(bars.screen());
            bars
        });
        Arc::new(Self { plain: Mutex::new(Plain::default()), bars })
    }

    /// Takes the display down: what it shows stays, and what is printed from now on follows it.
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
            // What the display shows isn't said twice.
            if self.bars.is_none() || !line.displayed {
                log::log!(line.level, "{}", line.text);
            }
        }
    }
}

/// When a boot began, for times relative to it.
#[derive(Debug, Default)]
struct Clock(Option<Instant>);

impl Clock {
    /// Notes a boot's begin.
    fn see(&mut self, event: &Event, now: Instant) {
        if matches!(event, Event::BootStarted { .. }) || self.0.is_none() {
            self.0 = Some(now);
        }
    }

    fn since(&self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |began| now.duration_since(began))
    }
}

/// Seconds with two decimals, as all our texts have them.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s", self.0.as_secs_f64())
    }
}

/// What came of the toolchain: how many tools each provider supplied.
#[derive(Debug, Default)]
struct Tools(BTreeMap<String, usize>);

impl Tools {
    /// Counts a tool that is there.
    fn see(&mut self, event: &Event) {
        if let Event::Tool { state: ToolState::Ready { provider, .. }, .. } = event {
            *self.0.entry(provider.clone()).or_default() += 1;
        }
    }

    /// The summary, once, when something else follows the last tool.
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
