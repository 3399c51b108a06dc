//! The published exit codes, on which scripts rely. The meaning of a code never changes. New codes
//! may be added.

use kubernix_host::cluster::HostError;
use kubernix_host::plugins::InstallError;
use kubernix_host::{settings, toolchain};
use std::fmt;
use std::process::ExitCode;

/// The exit codes of `kubernix`. `kubernix kubectl`, `shell` and `enter` return the code of the
/// program that they run instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded.
    Ok = 0,
    /// The command failed with an error that has no code of its own.
    Failure = 1,
    /// Usage, a setting or another input is wrong; nothing was changed.
    Usage = 2,
    /// A tool is missing, or its version isn't accepted.
    Tool = 3,
    /// The cluster runs already, or another command is changing it.
    AlreadyRunning = 4,
    /// The cluster doesn't exist, or isn't running.
    NotRunning = 5,
    /// A component failed to start.
    Component = 6,
    /// The command exceeded a time limit.
    Timeout = 7,
    /// The command needs root.
    NotPermitted = 8,
    /// The cluster is running, but a part of it is degraded.
    Degraded = 9,
    /// Interrupted by Ctrl-C, and cleaned up.
    Interrupted = 130,
}

impl Exit {
    /// All codes, in order.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Tool,
        Self::AlreadyRunning,
        Self::NotRunning,
        Self::Component,
        Self::Timeout,
        Self::NotPermitted,
        Self::Degraded,
        Self::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The meaning, as in docs/exit-codes.md.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "it worked",
            Self::Failure => "it failed",
            Self::Usage => "usage or input is wrong, nothing was changed",
            Self::Tool => "a tool is missing or has a wrong version",
            Self::AlreadyRunning => "the cluster runs already, or another command is changing it",
            Self::NotRunning => "no such cluster, or it isn't running",
            Self::Component => "a component failed to start",
            Self::Timeout => "it took too long",
            Self::NotPermitted => "not permitted: needs root",
            Self::Degraded => "`status`: the cluster is running, but a part of it is degraded",
            Self::Interrupted => "interrupted, and cleaned up",
        }
    }

    /// The exit with this code; [`Exit::Failure`] for a code that isn't published.
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|exit| exit.code() == code).unwrap_or(Self::Failure)
    }

    /// The exit for an error: that of the first known type in its chain of causes.
    pub fn of(error: &anyhow::Error) -> Self {
        let known = error.chain().find_map(|cause| {
            if let Some(refusal) = cause.downcast_ref::<Refusal>() {
                Some(refusal.exit)
            } else if let Some(host) = cause.downcast_ref::<HostError>() {
                Some(Self::from_code(host.exit_code()))
            } else if cause.is::<settings::Error>() {
                Some(Self::Usage)
            } else if let Some(toolchain) = cause.downcast_ref::<toolchain::Error>() {
                Some(if *toolchain == toolchain::Error::Interrupted { Self::Interrupted } else { Self::Tool })
            } else {
                let usage = cause.downcast_ref::<InstallError>().map(InstallError::is_usage);
                usage.map(|usage| if usage { Self::Usage } else { Self::Failure })
            }
        });
        known.unwrap_or(Self::Failure)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error of the command line itself, with its exit code.
#[derive(Debug)]
pub struct Refusal {
    /// The exit of the command.
    pub exit: Exit,
    /// The cause, and the way out.
    pub message: String,
}

impl Refusal {
    /// Creates a refusal as an error.
    pub fn error(exit: Exit, message: impl Into<String>) -> anyhow::Error {
        Self { exit, message: message.into() }.into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use kubernix_host::cluster::{BootError, Call, ClusterError, InUseError, PortError};
    use kubernix_host::snapshot;

    #[test]
    fn codes_are_the_published_ones() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]);
        for code in 0..=u8::MAX {
            let read_back = Exit::from_code(code);
            assert_eq!(read_back.code(), if codes.contains(&code) { code } else { Exit::Failure.code() });
        }
    }

    #[test]
    fn the_document_lists_every_code() {
        let document = include_str!("../../docs/exit-codes.md");
        let rows: Vec<&str> =
            document.lines().filter(|line| line.starts_with("| ") && !line.contains("meaning")).collect();
        let codes = Exit::ALL.iter().map(|exit| format!("| {} | {} |", exit.code(), exit.meaning()));
        assert_eq!(rows, codes.collect::<Vec<_>>());
    }

    #[test]
    fn host_errors_have_the_published_codes() {
        let name = || "a".to_owned();
        let call = || Call::new("kubernix", "a", "/r");
        let boot = |timed_out| BootError::Failed {
            call: call(),
            why: name(),
            root: std::path::Path::new("/r").into(),
            timed_out,
        };
        let errors: [(HostError, Exit); 16] = [
            (InUseError::Running(call()).into(), Exit::AlreadyRunning),
            (InUseError::NeedsBoot { call: call(), changes: vec![name()] }.into(), Exit::AlreadyRunning),
            (InUseError::Busy { call: call(), with: "up" }.into(), Exit::AlreadyRunning),
            (ClusterError::AlreadyExists(call()).into(), Exit::Usage),
            (ClusterError::OtherDatastore { saved: name(), selected: name() }.into(), Exit::Usage),
            (snapshot::Error::Occupied("/x".into()).into(), Exit::Usage),
            (
                snapshot::Error::NoSpace { path: "/x".into(), place: "/r".into(), needed: 1, free: 0 }.into(),
                Exit::Failure,
            ),
            (ClusterError::NeverBooted(call()).into(), Exit::NotRunning),
            (ClusterError::NotFound { call: call(), hint: name() }.into(), Exit::NotRunning),
            (ClusterError::Stopped(call()).into(), Exit::NotRunning),
            (BootError::Revoked { call: call(), by: "down" }.into(), Exit::NotRunning),
            (boot(false).into(), Exit::Component),
            (boot(true).into(), Exit::Timeout),
            (HostError::NotRoot("up"), Exit::NotPermitted),
            (HostError::Interrupted, Exit::Interrupted),
            (PortError::NoneFree { first: 1, last: 2, flag: "--port" }.into(), Exit::Failure),
        ];
        for (error, exit) in errors {
            let text = error.to_string();
            assert_eq!(Exit::of(&error.into()), exit, "{text}");
        }
    }

    #[test]
    fn the_first_known_cause_selects_the_exit() {
        let refused = Err::<(), _>(Refusal::error(Exit::NotRunning, "it is stopped")).context("opening a shell");
        assert_eq!(Exit::of(&refused.unwrap_err()), Exit::NotRunning);
        let missing = toolchain::Error::Missing { tools: Vec::new(), packages: None };
        assert_eq!(Exit::of(&anyhow::Error::new(missing).context("booting")), Exit::Tool);
        let home = settings::Error::NoHome { what: "cache", flag: "--x" };
        assert_eq!(Exit::of(&home.into()), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("other")), Exit::Failure);
    }
}
