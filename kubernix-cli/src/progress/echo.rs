//! The terminal's echo. While a display is up, a `^C` or an empty line that the terminal writes would move its lines.

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::io::stdin;

/// Keeps the terminal from showing what is typed until the value goes. Keys keep their effect: Ctrl-C still interrupts, and
/// what is typed is there for whoever reads it next.
pub(super) struct Silence(Option<Termios>);

impl Silence {
    /// Begins now; without effect where standard input is no terminal.
    pub fn begin() -> Self {
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_flags.remove(LocalFlags::ECHO);
            // A terminal that can't be set only looks worse.
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, &silent);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, before);
        }
    }
}
