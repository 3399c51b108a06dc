//! Interrupts while tools are built: the running program gets the signal, no other one is started,
//! and unfinished work is removed.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The interrupts of this process.
struct State {
    received: usize,
    /// The running program, which leads a process group. A compiler doesn't end its children, so
    /// the whole group gets the signal.
    running: Option<Pid>,
}

/// Signals reach the whole process, so there is one state for all threads.
static STATE: Mutex<State> = Mutex::new(State { received: 0, running: None });
static WATCH: Once = Once::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Handles a signal: the first one interrupts the running program, a further one kills it.
fn handle() {
    let mut state = state();
    state.received += 1;
    let signal = if state.received == 1 { Signal::SIGINT } else { Signal::SIGKILL };
    if let Some(pid) = state.running {
        // It may have exited just now. It isn't reaped before `Forwarding` is dropped.
        let _ = killpg(pid, signal);
    }
}

/// Whether this process received an interrupt. From the first call on, an interrupt doesn't end
/// this process.
pub fn received() -> bool {
    WATCH.call_once(|| match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        Ok(mut signals) => drop(std::thread::spawn(move || signals.forever().for_each(|_| handle()))),
        Err(error) => log::warn!("signals can't be handled, an interrupt leaves unfinished work behind: {error}"),
    });
    state().received > 0
}

/// Forwards interrupts to a program until it is dropped.
pub struct Forwarding;

impl Forwarding {
    /// Forwards them to the program of this process ID, which leads a process group.
    pub fn to(pid: u32) -> Self {
        let mut state = state();
        state.running = i32::try_from(pid).ok().map(Pid::from_raw);
        // An interrupt may have come while the program was started.
        if let (Some(pid), true) = (state.running, state.received > 0) {
            let _ = killpg(pid, Signal::SIGINT);
        }
        Self
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        state().running = None;
    }
}
