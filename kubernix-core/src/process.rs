//! Programs to run: for as long as the cluster lives or once ([`Process`]), or on request
//! ([`Command`]).

use crate::Probe;
use crate::types::{millis, open_set};
use abi_stable::StableAbi;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

open_set! {
    /// What happens when a process ends after its component had become ready.
    Restart {
        /// It is restarted with back-off (1 s to 30 s).
        ALWAYS = 1, "always";
        /// It stays down and its component counts as failed.
        NEVER = 2, "never";
    }
}

open_set! {
    /// A signal, by its number on Linux (signal(7)).
    Signal {
        /// Hang-up: many daemons reload their configuration.
        HUP = 1, "SIGHUP";
        /// Interrupt, as by Ctrl+C.
        INT = 2, "SIGINT";
        /// Quit, often with a core dump.
        QUIT = 3, "SIGQUIT";
        /// Ends the process at once. It can't be handled.
        KILL = 9, "SIGKILL";
        /// Defined by the program.
        USR1 = 10, "SIGUSR1";
        /// Defined by the program.
        USR2 = 12, "SIGUSR2";
        /// The usual request to end.
        TERM = 15, "SIGTERM";
        /// Some servers take it as a request to end gracefully.
        WINCH = 28, "SIGWINCH";
    }
}

open_set! {
    /// A resource whose use the kernel limits for a process, by its number on Linux (setrlimit(2)).
    Limit {
        /// CPU time in seconds.
        CPU = 0, "cpu";
        /// Size of a file that it writes, in bytes.
        FSIZE = 1, "fsize";
        /// Data segment in bytes.
        DATA = 2, "data";
        /// Stack in bytes.
        STACK = 3, "stack";
        /// Core dump in bytes.
        CORE = 4, "core";
        /// Processes of its user.
        NPROC = 6, "nproc";
        /// Open files.
        NOFILE = 7, "nofile";
        /// Locked memory in bytes.
        MEMLOCK = 8, "memlock";
        /// Address space in bytes.
        AS = 9, "as";
    }
}

/// The value of a [`Limit`] that limits nothing.
pub const UNLIMITED: u64 = u64::MAX;

/// Checks a process for as long as it runs. After `failures` failed checks in a row the process is
/// stopped by its stop signal, killed after its grace, and restarted as if it had ended on its own.
///
/// Without it, a component that no longer responds is reported and left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Liveness {
    /// The check, of the kind `http`, `tcp`, `unix`, `cri` or `command`. It has 3 s to pass.
    pub probe: Probe,
    /// The time between two checks. Serialized in milliseconds.
    #[serde(rename = "interval_ms", with = "millis")]
    pub interval: Duration,
    /// This many failed checks in a row stop the process. At least 1.
    pub failures: u32,
}

impl Liveness {
    /// Checks every 10 s, and restarts after three failed checks in a row.
    pub fn new(probe: Probe) -> Self {
        Self { probe, interval: Duration::from_secs(10), failures: 3 }
    }

    /// Sets the time between two checks: 100 ms or more.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the number of failed checks in a row after which the process is stopped: 1 or more.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }
}

/// A process of a component. Its output goes to a log file beside its `run.json`.
///
/// The processes of a plan are started in order, without a wait between them. The exception is a
/// one-shot process: the next ones start after it exited with 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Process {
    /// Unique within the component, a DNS label. Names the log.
    pub name: String,
    /// Absolute path of the program.
    pub program: String,
    /// Arguments without the program's own name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment beside `PATH` and `HOME`, which the host sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Absolute path of the working directory; empty for that of the host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// `USER` or `USER:GROUP`, each a name or a number; empty for root. See [`Process::user`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Soft and hard limits of resources, see [`Limit`] for the units. Those of the host apply to
    /// all others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<Limit, u64>,
    /// It runs once and has to exit with 0, see [`Process::one_shot`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_shot: bool,
    /// What to do when it ends on its own.
    pub restart: Restart,
    /// The signal that asks it to end.
    pub stop_signal: Signal,
    /// How long it has after that signal before SIGKILL. Serialized in milliseconds.
    #[serde(rename = "stop_grace_ms", with = "millis")]
    pub stop_grace: Duration,
    /// Checks that restart it; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Liveness>,
    /// Options of later versions of the contract, see [`Process::option`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl Process {
    /// A process that is restarted when it ends, and stopped by SIGTERM with five seconds to obey.
    pub fn new(name: impl Into<String>, program: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            directory: String::new(),
            user: String::new(),
            limits: BTreeMap::new(),
            one_shot: false,
            restart: Restart::ALWAYS,
            stop_signal: Signal::TERM,
            stop_grace: Duration::from_secs(5),
            liveness: None,
            options: BTreeMap::new(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds `--name=value` for each pair.
    #[must_use]
    pub fn flags<N: AsRef<str>, V: AsRef<str>>(mut self, flags: impl IntoIterator<Item = (N, V)>) -> Self {
        self.args.extend(flags.into_iter().map(|(name, value)| format!("--{}={}", name.as_ref(), value.as_ref())));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Sets the working directory, an absolute path. It has to exist when the process starts: a
    /// directory of the plan, for example. The host enters it before it changes the user.
    #[must_use]
    pub fn directory(mut self, path: impl Into<String>) -> Self {
        self.directory = path.into();
        self
    }

    /// Runs the process as another user: `USER` or `USER:GROUP`, each a name of the host's user
    /// database or a number. Without a group it is the user's own. A user of the database has its
    /// supplementary groups, a number has none.
    ///
    /// The cluster's directories belong to root and are closed to others. The exception is the
    /// working directory: where the plan makes it, it belongs to the user, and relative paths work
    /// in it.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Limits the use of a resource, both as soft and as hard limit; [`UNLIMITED`] lifts the limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit, value: u64) -> Self {
        self.limits.insert(limit, value);
        self
    }

    /// Runs the process once, before the next processes of the plan and before the component's
    /// probes: it is done when it exits with 0. Another end is a failed start. It runs again with
    /// the next boot, or when its node is created again, but not when another process of the
    /// component is restarted.
    #[must_use]
    pub fn one_shot(mut self) -> Self {
        (self.one_shot, self.restart) = (true, Restart::NEVER);
        self
    }

    /// Sets what happens when it ends on its own.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the signal that asks it to end and the time it has to obey.
    #[must_use]
    pub fn stop(mut self, signal: Signal, grace: Duration) -> Self {
        (self.stop_signal, self.stop_grace) = (signal, grace);
        self
    }

    /// Checks it for as long as it runs, and restarts it when the checks fail.
    #[must_use]
    pub fn liveness(mut self, liveness: Liveness) -> Self {
        self.liveness = Some(liveness);
        self
    }

    /// Sets an option of a later version of the contract. A host rejects the plan if it doesn't
    /// know the option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }
}

/// A command that runs to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Command {
    /// Absolute path of the program.
    pub program: String,
    /// Arguments without the program's own name.
    pub args: Vec<String>,
    /// Environment beside `PATH` and `HOME`, which the host sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl Command {
    /// This program with these arguments.
    pub fn new<A: Into<String>>(program: impl Into<String>, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { program: program.into(), args, env: BTreeMap::new() }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }
}
