//! The form of an event: one line of JSON. Growth: new kinds and new fields; a reader skips what it doesn't know.

use crate::root::Root;
use crate::toolchain::ToolState;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of `events.jsonl`, and of the pipe between a boot and the command that watches it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Record {
    /// When it happened: Unix time in microseconds.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// This event, happening now.
    pub fn now(event: Event) -> Self {
        // A clock before 1970 gives 0: the order of the lines still says what came first.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX), event }
    }
}

/// A value as one line of JSON, with its end.
///
/// # Errors
/// The value has no form in JSON.
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// What happened. An *instance* is what people read: `etcd`, `CRI-O (node 0)`; the host's own steps are instances as well:
/// `sandbox`, `certificates`, `pause image`, `default service account`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A boot begins. Everything up to the next one of these belongs to it.
    BootStarted {
        /// The cluster's name.
        cluster: String,
        /// The version of KuberNix that boots it.
        version: String,
    },
    /// An instance is part of this boot.
    Planned {
        /// The instance.
        instance: String,
        /// The component's name: `crio`. Empty for the host's own steps.
        component: String,
        /// The phase it belongs to: `Controller`.
        phase: String,
        /// The roles that have to be filled before it starts.
        waits_for: Vec<String>,
    },
    /// Its requirements are met and its processes run.
    Started {
        /// The instance.
        instance: String,
    },
    /// One of the roles that it fills answers.
    RoleReady {
        /// The instance.
        instance: String,
        /// The role.
        role: String,
    },
    /// All its probes passed.
    Ready {
        /// The instance.
        instance: String,
    },
    /// It didn't become ready, or went down for good.
    Failed {
        /// The instance.
        instance: String,
        /// Why.
        error: String,
    },
    /// It was ready, and a probe of it doesn't pass any more.
    Unresponsive {
        /// The instance.
        instance: String,
        /// What the probe saw.
        reason: String,
    },
    /// One of its processes ended on its own.
    Exited {
        /// The instance.
        instance: String,
        /// The process's name.
        process: String,
        /// How it ended: `exit status 1`, `signal 9 (SIGKILL)`.
        status: String,
        /// It will be started again.
        restarting: bool,
    },
    /// It is being asked to end.
    Stopping {
        /// The instance.
        instance: String,
    },
    /// All its processes are gone.
    Stopped {
        /// The instance.
        instance: String,
    },
    /// A step on the way to one binary of the toolchain.
    Tool {
        /// The binary's toolchain name.
        name: String,
        /// How far it is.
        #[serde(flatten)]
        state: ToolState,
    },
    /// Something worth saying.
    Note {
        /// The text.
        message: String,
    },
    /// Something that a user should look at.
    Warning {
        /// The text.
        message: String,
    },
    /// The cluster can be used: the node is ready and pods can be made.
    BootReady,
    /// A change of a running cluster is over, and everything is ready.
    Changed,
    /// A change of a running cluster came to nothing.
    ChangeFailed {
        /// Why.
        error: String,
        /// What ran before runs again.
        restored: bool,
    },
    /// A change was not begun.
    ChangeRefused {
        /// Why.
        error: String,
    },
    /// A change was not begun: the state is another one than that which it was made from.
    ChangeStale,
    /// The boot came to nothing; what it had started is cleaned up.
    BootFailed {
        /// Why.
        error: String,
        /// It took longer than it may.
        #[serde(default)]
        timed_out: bool,
    },
}

impl Event {
    /// As it is shown outside of its sandbox: with the host's paths in its texts.
    #[must_use]
    pub fn seen_outside(mut self, root: &Root) -> Self {
        match &mut self {
            Self::Note { message: text }
            | Self::Warning { message: text }
            | Self::Failed { error: text, .. }
            | Self::ChangeFailed { error: text, .. }
            | Self::BootFailed { error: text, .. } => *text = root.text_to_outside(text),
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_flat_line() {
        let record = Record { at_us: 7, event: Event::Started { instance: "CRI-O (node 0)".into() } };
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(line, r#"{"at_us":7,"event":"started","instance":"CRI-O (node 0)"}"#);
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }

    #[test]
    fn unit_events_and_tool_states_come_back_as_they_were() {
        let building = ToolState::Building { detail: "k8s.io/api".into(), done: 3, total: 900 };
        for event in [Event::BootReady, Event::Tool { name: "crio".into(), state: building }] {
            let record = Record { at_us: u64::MAX, event };
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
        }
    }
}
