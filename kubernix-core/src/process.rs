//! Programs to run: for as long as the cluster lives ([`Process`]), or once ([`Command`]).

use crate::types::open_set;
use abi_stable::StableAbi;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

open_set! {
    /// What happens when a process ends after its component had become ready.
    Restart {
        /// It is started again, with growing pauses (1 s to 30 s).
        ALWAYS = 1, "always";
        /// It stays down and its component counts as failed.
        NEVER = 2, "never";
    }
}

/// A process that lives as long as the cluster. Output goes to a log file beside its `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Process {
    /// Unique within the component; names the log.
    pub name: String,
    /// Absolute path of the program.
    pub program: String,
    /// Arguments without the program's own name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment beside `PATH`, which the host sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What to do when it ends on its own.
    pub restart: Restart,
    /// The signal that asks it to end (signal(7)).
    pub stop_signal: i32,
    /// How long it has after that signal before SIGKILL, in milliseconds.
    pub stop_grace_ms: u64,
}

impl Process {
    /// A process that is restarted when it ends, and stopped by SIGTERM with five seconds to obey.
    pub fn new(name: impl Into<String>, program: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            restart: Restart::ALWAYS,
            stop_signal: 15,
            stop_grace_ms: 5_000,
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

    /// Sets what happens when it ends on its own.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the signal that asks it to end and the time it has to obey.
    #[must_use]
    pub fn stop(mut self, signal: i32, grace_ms: u64) -> Self {
        (self.stop_signal, self.stop_grace_ms) = (signal, grace_ms);
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
}

impl Command {
    /// This program with these arguments.
    pub fn new<A: Into<String>>(program: impl Into<String>, args: impl IntoIterator<Item = A>) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect() }
    }
}
