//! Failures to start an instance, with the end of the log of its process.

use super::clients::ApiError;
use super::nodes::NodeError;
use super::reducer::Fault;
use crate::chain::chain;
use crate::process::{SpawnError, tail};
use crate::root_dir;
use nix::errno::Errno;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// How much of a log an error shows, in lines.
const LOG_LINES: usize = 20;

/// Messages of programs when inotify_init(2) fails with EMFILE, because this user has no inotify
/// instances left.
const INOTIFY_MESSAGES: &[&str] =
    &["inotify_init: too many open files", "watcher: too many open files", "watcher too many open files"];
const INOTIFY_HINT: &str = "the clusters of this host need more inotify instances than it allows, about ten per node: \
                            `sysctl -w fs.inotify.max_user_instances=1024` allows more";

/// The end of a process's log, as part of a message.
#[derive(Debug)]
pub(super) struct LogTail {
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
        let has_inotify_message =
            self.lines.iter().any(|line| INOTIFY_MESSAGES.iter().any(|message| line.contains(message)));
        if has_inotify_message { write!(f, "\n{INOTIFY_HINT}") } else { Ok(()) }
    }
}

/// Why an instance didn't start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFailure {
    /// The reducer has removed it meanwhile.
    #[error("the instance was removed")]
    Removed,
    /// A file of its plan can't be written.
    #[error("its files can't be written: {0}")]
    File(root_dir::Error),
    /// Its node doesn't run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The objects of its plan can't be applied.
    #[error("its manifests can't be applied: {0}")]
    Manifests(ApiError),
    /// A prober can't be created, or the CA can't be published.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A process can't be started.
    #[error("process `{process}` can't be started")]
    Spawn {
        /// The process.
        process: String,
        /// The cause.
        source: SpawnError,
    },
    /// A probe didn't pass in time.
    #[error("role `{role}` is not ready: {unready}; {log}")]
    Unready {
        /// The role.
        role: String,
        /// The result of the last attempt.
        unready: String,
        /// The log of its process.
        log: LogTail,
        /// The probe may pass later.
        timed_out: bool,
    },
}

/// Temporary shortages of the host's resources: a retry may work.
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
    /// Converts it for the reducer.
    pub(super) fn fault(&self) -> Fault {
        let detail = chain(self);
        let summary = match self {
            // Without the log.
            Self::Unready { role, unready, .. } => format!("role `{role}` is not ready: {unready}"),
            _ => detail.lines().next().unwrap_or_default().to_owned(),
        };
        let timed_out = matches!(self, Self::Unready { timed_out: true, .. });
        let transient = match self {
            Self::Spawn { source, .. } => is_transient(source),
            // The node has just ended, and is started again.
            Self::Node(_) | Self::Removed => true,
            _ => false,
        };
        Fault { summary, detail, timed_out, transient }
    }
}

impl Fault {
    /// A permanent fault, with the causes of an error.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        Self::new(chain(error))
    }
}

impl From<StartFailure> for Fault {
    fn from(failure: StartFailure) -> Self {
        failure.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_with_an_inotify_error_has_a_hint() {
        let tail = |line: &str| LogTail { path: "/x.log".into(), lines: vec![line.to_owned()] }.to_string();
        assert!(tail("failed to create new watcher too many open files").contains("max_user_instances=1024"));
        assert_eq!(tail("open /x: too many open files"), "the end of /x.log:\n  open /x: too many open files");
    }

    #[test]
    fn only_resource_shortages_are_transient() {
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
    fn the_summary_has_no_log() {
        let log = LogTail { path: "/x.log".into(), lines: vec!["no space".into()] };
        let unready = StartFailure::Unready { role: "cri".into(), unready: "no".into(), log, timed_out: true };
        let fault = unready.fault();
        assert_eq!(fault.summary, "role `cri` is not ready: no");
        assert!(fault.timed_out);
        assert!(fault.detail.contains("no space"), "{}", fault.detail);
    }
}
