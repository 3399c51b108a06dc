//! Why a cluster doesn't come up. Each way to fail is a variant, with what a person needs to go on.

use crate::process::{Exit, Running, SpawnError, tail};
use std::fmt;
use std::path::{Path, PathBuf};

/// How much of a log an error shows, in lines.
const LOG_LINES: usize = 20;

/// What programs say where the host has no inotify instances left for this user: inotify_init(2) fails with EMFILE.
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
    /// The node that it is on can't be made.
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
    /// A process ended before the instance was ready.
    #[error("process `{process}` ended with {exit} before it was ready; {log}")]
    Ended {
        /// The process.
        process: String,
        /// How.
        exit: Exit,
        /// What it said.
        log: LogTail,
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

impl StartFailure {
    pub(super) fn ended(running: &Running, exit: Exit) -> Self {
        Self::Ended { process: running.process.name.clone(), exit, log: LogTail::of(&running.log) }
    }
}

/// Why a boot came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BootFailure {
    /// An instance didn't start.
    #[error("{instance} failed to start")]
    Instance {
        /// The instance.
        instance: String,
        /// Why.
        source: Box<StartFailure>,
    },
    /// A step of the host's own failed.
    #[error("{step} failed: {why}")]
    Step {
        /// The step: `pause image`.
        step: String,
        /// Why.
        why: String,
        /// It might have worked later.
        late: bool,
    },
    /// It took too long.
    #[error("still waiting for {}", or_the_api(.waiting))]
    TimedOut {
        /// Instances and steps that weren't ready.
        waiting: Vec<String>,
    },
    /// The command that boots was interrupted or went away.
    #[error("interrupted")]
    Interrupted,
}

/// Who is ready needn't be able to say so.
fn or_the_api(waiting: &[String]) -> String {
    if waiting.is_empty() { "the Kubernetes API to answer".into() } else { waiting.join(", ") }
}

impl BootFailure {
    /// More time might have helped.
    pub fn is_late(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Instance { source, .. } => matches!(**source, StartFailure::Unready { late: true, .. }),
            Self::Step { late, .. } => *late,
            Self::Interrupted => false,
        }
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
    fn there_is_always_something_that_is_waited_for() {
        let late =
            |waiting: &[&str]| BootFailure::TimedOut { waiting: waiting.iter().map(|one| (*one).into()).collect() };
        assert_eq!(late(&["a", "b"]).to_string(), "still waiting for a, b");
        assert_eq!(late(&[]).to_string(), "still waiting for the Kubernetes API to answer");
    }
}
