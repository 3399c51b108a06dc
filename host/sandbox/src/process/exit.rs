//! The exit of a process.

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use std::fmt;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// The exit that wait(2) reports. `None` if the process still runs.
    pub fn of(status: WaitStatus) -> Option<Self> {
        match status {
            WaitStatus::Exited(_, code) => Some(Self::Code(code)),
            WaitStatus::Signaled(_, signal, _) => Some(Self::Signal(signal as i32)),
            _ => None,
        }
    }

    /// The exit code that a shell would report: the status, or 128 + the signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "signal {number} ({signal})"),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::Pid;

    #[test]
    fn only_an_exit_status_is_an_exit() {
        let pid = Pid::from_raw(7);
        assert_eq!(Exit::of(WaitStatus::Exited(pid, 3)), Some(Exit::Code(3)));
        assert_eq!(Exit::of(WaitStatus::Signaled(pid, Signal::SIGKILL, false)), Some(Exit::Signal(9)));
        assert_eq!(Exit::of(WaitStatus::Stopped(pid, Signal::SIGSTOP)), None);
        assert_eq!(Exit::of(WaitStatus::StillAlive), None);
    }

    #[test]
    fn signals_are_named() {
        assert_eq!(Exit::Signal(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(Exit::Signal(9).code(), 137);
        assert_eq!(Exit::Code(3).to_string(), "exit status 3");
    }
}
