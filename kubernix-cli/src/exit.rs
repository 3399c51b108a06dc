//! The exit codes, published: scripts rely on them. A code never changes its meaning; new ones may come.

use kubernix_host::cluster::HostError;
use kubernix_host::plugins::InstallError;
use kubernix_host::{settings, toolchain};
use std::fmt;
use std::process::ExitCode;

/// What the exit code of `kubernix` says. `kubernix kubectl`, `shell` and `enter` pass on the code of what they ran instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Ok = 0,
    /// It failed in a way that has no code of its own.
    Failure = 1,
    /// Usage, a setting or another input is wrong; nothing was changed.
    Usage = 2,
    /// A tool is missing, or what is there doesn't fit.
    Tool = 3,
    /// The cluster runs already, or another command is at work on it.
    AlreadyRunning = 4,
    /// There is no such cluster, or it isn't running.
    NotRunning = 5,
    /// A component failed to start.
    Component = 6,
    /// The boot, or a step of it, took too long.
    Timeout = 7,
    /// This user may not do it: not root.
    NotPermitted = 8,
    /// The cluster is running, but a part of it is degraded.
    Degraded = 9,
    /// Interrupted by Ctrl-C; what was begun is cleaned up.
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

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "it worked",
            Self::Failure => "it failed",
            Self::Usage => "usage or input is wrong, nothing was changed",
            Self::Tool => "a tool is missing or doesn't fit",
            Self::AlreadyRunning => "the cluster runs already, or another command is at work on it",
            Self::NotRunning => "no such cluster, or it isn't running",
            Self::Component => "a component failed to start",
            Self::Timeout => "it took too long",
            Self::NotPermitted => "not permitted: needs root",
            Self::Degraded => "`status`: the cluster is running, but a part of it is degraded",
            Self::Interrupted => "interrupted, and cleaned up",
        }
    }

    /// The exit of this number; a number that isn't published is a [`Exit::Failure`].
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|exit| exit.code() == code).unwrap_or(Self::Failure)
    }

    /// The exit for an error, by what it or the nearest of its causes is.
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

/// What the command line refuses by itself.
#[derive(Debug)]
pub struct Refusal {
    /// How the command ends.
    pub exit: Exit,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Refusal {
    /// A refusal as an error.
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
    use kubernix_host::cluster::Call;
    use kubernix_host::snapshot;

    #[test]
    fn codes_are_those_that_are_published() {
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
    fn failures_of_the_host_have_the_codes_that_are_published() {
        let name = || "a".to_owned();
        let call = || Call::new("kubernix", "a", "/r");
        let boot = |timed_out| HostError::Boot { call: call(), why: name(), root: "/r".into(), timed_out };
        for (error, exit) in [
            (HostError::Running(call()), Exit::AlreadyRunning),
            (HostError::OfBoot { call: call(), changes: vec![name()] }, Exit::AlreadyRunning),
            (HostError::Busy { call: call(), with: "up" }, Exit::AlreadyRunning),
            (HostError::Exists(call()), Exit::Usage),
            (HostError::OtherDatastore { saved: name(), found: name() }, Exit::Usage),
            (snapshot::Error::Occupied("/x".into()).into(), Exit::Usage),
            (
                snapshot::Error::NoSpace { path: "/x".into(), place: "/r".into(), needed: 1, free: 0 }.into(),
                Exit::Failure,
            ),
            (HostError::NeverBooted(call()), Exit::NotRunning),
            (HostError::NoSuchCluster { call: call(), hint: name() }, Exit::NotRunning),
            (HostError::Stopped(call()), Exit::NotRunning),
            (HostError::Revoked { call: call(), by: "down" }, Exit::NotRunning),
            (boot(false), Exit::Component),
            (boot(true), Exit::Timeout),
            (HostError::NotRoot("up"), Exit::NotPermitted),
            (HostError::Interrupted, Exit::Interrupted),
            (HostError::NoPort { first: 1, last: 2, flag: "--port" }, Exit::Failure),
        ] {
            let text = error.to_string();
            assert_eq!(Exit::of(&error.into()), exit, "{text}");
        }
    }

    #[test]
    fn the_cause_that_is_known_decides() {
        let refused = Err::<(), _>(Refusal::error(Exit::NotRunning, "it is stopped")).context("opening a shell");
        assert_eq!(Exit::of(&refused.unwrap_err()), Exit::NotRunning);
        let missing = toolchain::Error::Missing { tools: Vec::new(), packages: None };
        assert_eq!(Exit::of(&anyhow::Error::new(missing).context("booting")), Exit::Tool);
        let home = settings::Error::NoHome { what: "cache", flag: "--x" };
        assert_eq!(Exit::of(&home.into()), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("other")), Exit::Failure);
    }
}
