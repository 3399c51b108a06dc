//! Pauses process groups, so that their files can be copied in a consistent state.

use crate::proc_stat::Stat;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

/// How often to check whether all threads are stopped.
const POLL_INTERVAL: Duration = Duration::from_micros(500);

/// Paused process groups. Dropping it resumes them.
#[must_use]
pub struct PausedGroups(Vec<Pid>);

impl PausedGroups {
    /// Stops these groups by SIGSTOP, which no process can block, and waits until every thread is
    /// stopped. A thread that is writing finishes its system call first. After that, nothing more
    /// is written.
    ///
    /// # Errors
    /// A group is gone, or a thread stays in a system call for longer than `limit`. All groups are
    /// resumed then.
    pub fn pause(groups: &[Pid], limit: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + limit;
        // From here on, every return resumes the groups.
        let mut paused = Self(Vec::new());
        for group in groups {
            killpg(*group, Signal::SIGSTOP)?;
            paused.0.push(*group);
        }
        let groups: BTreeSet<i32> = groups.iter().map(|group| group.as_raw()).collect();
        while !all_stopped(&groups)? {
            if Instant::now() >= deadline {
                return Err(io::Error::other(format!("it still runs after {limit:?}")));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(paused)
    }
}

impl Drop for PausedGroups {
    fn drop(&mut self) {
        for group in &self.0 {
            match killpg(*group, Signal::SIGCONT) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => log::error!("process group {group} can't be resumed: {errno}"),
            }
        }
    }
}

/// Whether every thread of these groups is stopped or has ended.
fn all_stopped(groups: &BTreeSet<i32>) -> io::Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if !Stat::of(pid).is_ok_and(|stat| groups.contains(&stat.group)) {
            continue;
        }
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let mut stats = threads.filter_map(|thread| Stat::read(&thread.path().join("stat")).ok());
        if !stats.all(|stat| stat.is_stopped() || stat.has_ended()) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a process to be paused")]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    /// A group of two processes that write continuously.
    struct Writers(Child, tempfile::NamedTempFile);

    impl Writers {
        fn new() -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            let script = "w() { while :; do echo x >> \"$0\"; done; }; w & w";
            let child = Command::new("sh").args(["-c", script]).arg(file.path()).process_group(0).spawn().unwrap();
            let writers = Self(child, file);
            writers.wait_for_growth();
            writers
        }

        fn group(&self) -> Pid {
            Pid::from_raw(self.0.id().cast_signed())
        }

        fn size(&self) -> u64 {
            self.1.as_file().metadata().unwrap().len()
        }

        /// Waits until the processes have written.
        fn wait_for_growth(&self) {
            let (before, deadline) = (self.size(), Instant::now() + Duration::from_secs(30));
            while self.size() <= before {
                assert!(Instant::now() < deadline, "the processes don't write");
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }

    impl Drop for Writers {
        fn drop(&mut self) {
            let _ = killpg(self.group(), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_paused_group_writes_nothing_until_it_is_resumed() {
        let writers = Writers::new();
        let paused = PausedGroups::pause(&[writers.group()], Duration::from_secs(30)).unwrap();
        let size = writers.size();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            assert_eq!(writers.size(), size);
        }
        drop(paused);
        writers.wait_for_growth();
    }

    #[test]
    fn a_missing_group_is_an_error_and_the_others_are_resumed() {
        let (writers, mut gone) = (Writers::new(), Command::new("true").process_group(0).spawn().unwrap());
        let group = Pid::from_raw(gone.id().cast_signed());
        gone.wait().unwrap();
        assert!(PausedGroups::pause(&[writers.group(), group], Duration::from_secs(30)).is_err());
        writers.wait_for_growth();
    }
}
