//! Disables the terminal's echo. While a display is shown, an echoed `^C` or line break would move
//! its lines.

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::io::stdin;

/// Disables the echo until it is dropped. Keys keep their effect: Ctrl-C still interrupts, and
/// input is kept for the next process that reads it.
pub(super) struct EchoOff(Option<Termios>);

impl EchoOff {
    /// Disables the echo. No effect if standard input isn't a terminal.
    pub fn begin() -> Self {
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_flags.remove(LocalFlags::ECHO);
            // An error only affects the display.
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, &silent);
        }
        Self(before)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, before);
        }
    }
}
