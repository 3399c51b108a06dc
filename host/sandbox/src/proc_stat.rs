//! Lists processes, and reads `/proc/PID/stat` of a process or `/proc/PID/task/TID/stat` of a
//! thread (proc_pid_stat(5)).

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The fields that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The state, one letter: field 3.
    pub state: char,
    /// The process group: field 5.
    pub group: i32,
    /// The start time, in clock ticks after the machine's boot: field 22.
    pub started: u64,
}

impl Stat {
    /// Reads the fields of a process.
    ///
    /// # Errors
    /// There is no process with this ID.
    pub fn of(pid: i32) -> io::Result<Self> {
        Self::read(format!("/proc/{pid}/stat").as_ref())
    }

    /// Reads the fields from a file.
    ///
    /// # Errors
    /// The file can't be read or has another format.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(path)?).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn parse(text: &str) -> Option<Self> {
        // The command's name is in parentheses and may contain any character. Field 3 follows it.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether a signal or a debugger has stopped it.
    pub fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether it has ended. Its parent may not have reaped it yet.
    pub fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The entries of a directory whose names are numbers: the processes of `/proc`, or the threads of
/// `/proc/PID/task`. Empty if the directory can't be read.
pub fn numbers(directory: impl AsRef<Path>) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The command name of a process (proc_pid_comm(5)). `None` if there is no such process.
pub fn name(pid: i32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// A descriptor of the process that has this ID now (pidfd_open(2)).
///
/// # Errors
/// There is no such process, or no more files can be opened.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_its_threads_are_listed() {
        let own = std::process::id().cast_signed();
        assert!(numbers("/proc").any(|pid| pid == own));
        assert!(numbers(format!("/proc/{own}/task")).any(|thread| thread == own));
        assert_eq!(numbers("/proc/nowhere").count(), 0);
        assert!(name(own).is_some_and(|name| !name.is_empty() && !name.contains('\n')));
        assert_eq!(name(-1), None);
        assert!(pidfd(own).is_ok());
        assert_eq!(pidfd(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_command_name_with_separators_does_not_shift_the_fields() {
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
