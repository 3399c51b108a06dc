//! Commands of a cluster that run in the background of a test.

use crate::command::{Outcome, finish};
use crate::wait::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

/// The time limit of operations that usually take a second.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An `up`, or another command, in the background.
pub struct RunningCommand {
    pub(crate) what: String,
    pub(crate) child: Child,
    pub(crate) events: PathBuf,
}

impl RunningCommand {
    /// Waits until this event is recorded: `boot-started`, `boot-ready`, or one between them.
    ///
    /// # Panics
    /// It isn't recorded in time.
    #[track_caller]
    pub fn wait_for_event(&self, event: &str) {
        until(event, TIMEOUT, || {
            let events = fs::read_to_string(&self.events).unwrap_or_default();
            if events.contains(event) { Ok(()) } else { Err(events) }
        });
    }

    /// Sends a signal to the command.
    ///
    /// # Panics
    /// The command has exited.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("`up` is still there");
    }

    /// Sends SIGINT to the command repeatedly, as an impatient user does, until it exits.
    ///
    /// # Panics
    /// It doesn't exit in time.
    #[track_caller]
    pub fn interrupt_until_exit(mut self) -> Outcome {
        until("end of an interrupted boot", TIMEOUT, || {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return Ok(());
            }
            self.signal(Signal::SIGINT);
            Err("`up` goes on".to_owned())
        });
        self.wait()
    }

    /// Waits until the command exits.
    ///
    /// # Panics
    /// It doesn't exit in time.
    #[track_caller]
    pub fn wait(self) -> Outcome {
        self.wait_within(TIMEOUT)
    }

    /// Waits at most `limit` until the command exits.
    ///
    /// # Panics
    /// It doesn't exit in time.
    #[track_caller]
    pub fn wait_within(self, limit: Duration) -> Outcome {
        finish(self.what, self.child, limit)
    }

    /// Whether the command still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }
}
