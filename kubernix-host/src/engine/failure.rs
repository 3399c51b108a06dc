//! Why a cluster doesn't come up. Each way to fail is a variant, with what a person needs to go on.

use super::reducer::Fault;
use crate::chain::chain;
use crate::process::{SpawnError, tail};
use nix::errno::Errno;
use std::fmt;
use std::path::{Path, PathBuf};

/// How much of a log an error shows, in lines.
const LOG_LINES: usize = 20;

/// What programs say where the host has no inotify instances left for this user: inotify_init(2)
/// fails with EMFILE.
const INOTIFY: &[&str] =
    &["inotify_init: too many open files", "watcher: too many open files", "watcher too many open files"];
const INOTIFY_HINT: &str = "All clusters of the host together hold more inotify instances than it allows, some ten a node: \
                            `sysctl -w fs.inotify.max_user_instances=1024` allows more";

/// The end of a process's log, as part of a message.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    lines: Vec<String>,
}

impl LogTail {
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), lines: tail(path, LOG_LINES) }
    }
}

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return write!(f, "its log {} is empty", self.path.display());
        }
        write!(f, "the end of {}:", self.path.display())?;
        self.lines.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
        match self.lines.iter().any(|line| INOTIFY.iter().any(|word| line.contains(word))) {
            true => write!(f, "\n{INOTIFY_HINT}"),
            false => Ok(()),
        }
    }
}

/// Why an instance didn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    /// A file of its plan can't be written.
    #[error("its files can't be written: {0}")]
    File(String),
    /// The node that it is on doesn't run.
    #[error("{0}")]
    Node(String),
    /// What it wants of the API can't be applied.
    #[error("its manifests: {0}")]
    Api(String),
    /// A process can't be started.
    #[error("process `{process}` can't be started")]
    Spawn {
        /// The process.
        process: String,
        /// Why.
        source: SpawnError,
    },
    /// A probe didn't pass in time.
    #[error("role `{role}` is not ready: {unready}; {log}")]
    Unready {
        /// The role.
        role: String,
        /// What the probe saw.
        unready: String,
        /// What its process said.
        log: LogTail,
        /// It might have passed later.
        late: bool,
    },
}

/// What a host is short of for a moment: another attempt may work.
const TRANSIENT: [Errno; 6] =
    [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE, Errno::ETXTBSY, Errno::EINTR];

fn is_transient(source: &SpawnError) -> bool {
    let error = match source {
        SpawnError::Missing(_) | SpawnError::NotExecutable(_) | SpawnError::Privileges(_) => return false,
        SpawnError::File { source, .. } | SpawnError::Other { source, .. } => source,
    };
    error.raw_os_error().is_some_and(|errno| TRANSIENT.contains(&Errno::from_raw(errno)))
}

impl StartFailure {
    /// The same, as the rules know it.
    pub(super) fn fault(&self) -> Fault {
        let detail = chain(self);
        let summary = match self {
            // The log belongs to the details.
            Self::Unready { role, unready, .. } => format!("role `{role}` is not ready: {unready}"),
            _ => detail.lines().next().unwrap_or_default().to_owned(),
        };
        let late = matches!(self, Self::Unready { late: true, .. });
        let transient = match self {
            Self::Spawn { source, .. } => is_transient(source),
            // It ended a moment ago, and is made again.
            Self::Node(_) => true,
            _ => false,
        };
        Fault { summary, detail, late, transient }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_the_host_is_named_where_a_log_hints_at_it() {
        let tail = |line: &str| LogTail { path: "/x.log".into(), lines: vec![line.to_owned()] }.to_string();
        assert!(tail("failed to create new watcher too many open files").contains("max_user_instances=1024"));
        assert_eq!(tail("open /x: too many open files"), "the end of /x.log:\n  open /x: too many open files");
    }

    #[test]
    fn a_shortage_of_the_host_is_told_from_what_needs_a_change() {
        let spawn = |errno: Errno| {
            let source = std::io::Error::from_raw_os_error(errno as i32);
            let source = SpawnError::Other { program: "/bin/x".into(), source };
            StartFailure::Spawn { process: "x".into(), source }.fault()
        };
        assert!(spawn(Errno::EAGAIN).transient && spawn(Errno::ETXTBSY).transient);
        assert!(!spawn(Errno::ENOEXEC).transient);
        let missing = StartFailure::Spawn { process: "x".into(), source: SpawnError::Missing("/bin/x".into()) };
        assert_eq!(missing.fault().summary, "process `x` can't be started: `/bin/x` doesn't exist");
    }

    #[test]
    fn the_log_is_in_the_details_alone() {
        let log = LogTail { path: "/x.log".into(), lines: vec!["no space".into()] };
        let unready = StartFailure::Unready { role: "cri".into(), unready: "no".into(), log, late: true };
        let fault = unready.fault();
        assert_eq!(fault.summary, "role `cri` is not ready: no");
        assert!(fault.late);
        assert!(fault.detail.contains("no space"), "{}", fault.detail);
    }
}
