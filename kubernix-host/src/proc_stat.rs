//! What `/proc/PID/stat` says of a process, or `/proc/PID/task/TID/stat` of a thread (proc_pid_stat(5)).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The fields that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// One letter: field 3.
    pub state: char,
    /// The process group: field 5.
    pub group: i32,
    /// When it began, in clock ticks after the machine's boot: field 22.
    pub started: u64,
}

impl Stat {
    /// Those of a process.
    ///
    /// # Errors
    /// There is no process of this number.
    pub fn of(pid: i32) -> io::Result<Self> {
        Self::read(format!("/proc/{pid}/stat").as_ref())
    }

    /// Those in a file.
    ///
    /// # Errors
    /// It is gone, or isn't of this format.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(path)?).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn parse(text: &str) -> Option<Self> {
        // The command's name, in parentheses, may contain anything. Field 3 is the first one behind it.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it is stopped, by a signal or by a debugger.
    pub fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether it has ended; its parent may not have waited for it yet.
    pub fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_command_does_not_shift_the_fields() {
        let rest = "T 1 7 7 0 -1 4194560 92 0 0 0 0 0 0 0 20 0 1 0 5821 2465792 224 18446744073709551615";
        for name in ["sleep", "a b", "x) Z 9 9 (y", ") "] {
            let stat = Stat::parse(&format!("12 ({name}) {rest}\n"));
            assert_eq!(stat, Some(Stat { state: 'T', group: 7, started: 5821 }), "{name}");
        }
        for cut in ["", "12 (sleep)", "12 (sleep) T 1 7 7", "12 (sleep) T 1 x 7 7 0 -1"] {
            assert_eq!(Stat::parse(cut), None, "{cut}");
        }
    }
}
