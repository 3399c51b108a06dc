//! Ctrl-C while something is built: the program that runs is told, nothing else is begun, and what
//! was begun is cleared away.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What is known of them in this process.
struct Seen {
    count: usize,
    /// What runs at the moment, by its process group: a compiler that has others at work doesn't
    /// end them.
    running: Option<Pid>,
}

/// Signals of the whole process, so one for all.
static SEEN: Mutex<Seen> = Mutex::new(Seen { count: 0, running: None });
static WATCH: Once = Once::new();

fn state() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first asks the program to end, a further one ends it.
fn pass_on() {
    let mut seen = state();
    seen.count += 1;
    let signal = if seen.count == 1 { Signal::SIGINT } else { Signal::SIGKILL };
    if let Some(pid) = seen.running {
        // It may have ended just now; it isn't reaped before `Told` is dropped.
        let _ = killpg(pid, signal);
    }
}

/// Whether there was one. From the first call on, they don't end this process any more.
pub fn seen() -> bool {
    WATCH.call_once(|| match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        Ok(mut signals) => drop(std::thread::spawn(move || signals.forever().for_each(|_| pass_on()))),
        Err(error) => log::warn!("signals can't be handled, an interrupt leaves unfinished work behind: {error}"),
    });
    state().count > 0
}

/// A program that is told of interrupts for as long as this is there.
pub struct Told;

impl Told {
    /// Of the program of this process ID, which leads a group.
    pub fn of(pid: u32) -> Self {
        let mut seen = state();
        seen.running = i32::try_from(pid).ok().map(Pid::from_raw);
        // One that came while it was started.
        if let (Some(pid), true) = (seen.running, seen.count > 0) {
            let _ = killpg(pid, Signal::SIGINT);
        }
        Self
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        state().running = None;
    }
}
