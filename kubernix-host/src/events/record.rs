//! The format of an event: one line of JSON. New versions may add kinds and fields: readers skip
//! unknown ones.

use crate::root_dir::Root;
use crate::toolchain::ToolState;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of `events.jsonl`, and of the pipe from a boot to its command.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Record {
    /// The time of the event: Unix time in microseconds.
    pub at_us: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// A record of this event at the present time.
    pub fn now(event: Event) -> Self {
        // With a clock before 1970 the time is 0. The order of the lines stays correct.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX), event }
    }
}

/// Formats a value as one line of JSON, with line end.
///
/// # Errors
/// The value can't be represented in JSON.
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// An event. An *instance* is named as users see it: `etcd`, `CRI-O (node 0)`. The host's own steps
/// are instances as well: `sandbox`, `certificates`, `pause image`, `default service account`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A boot began. All events until the next `BootStarted` belong to it.
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
        /// The roles that must be ready before it starts.
        waits_for: Vec<String>,
    },
    /// The instance's requirements are met and its processes are running.
    Started {
        /// The instance.
        instance: String,
    },
    /// One of the instance's roles is ready.
    RoleReady {
        /// The instance.
        instance: String,
        /// The role.
        role: String,
    },
    /// All probes of the instance passed.
    Ready {
        /// The instance.
        instance: String,
    },
    /// The instance didn't become ready, or failed permanently.
    Failed {
        /// The instance.
        instance: String,
        /// Why.
        error: String,
    },
    /// The instance was ready, and one of its probes doesn't pass any more.
    Unresponsive {
        /// The instance.
        instance: String,
        /// Why the probe doesn't pass.
        reason: String,
    },
    /// One of the instance's processes exited without being stopped.
    Exited {
        /// The instance.
        instance: String,
        /// The process's name.
        process: String,
        /// How it ended: `exit status 1`, `signal 9 (SIGKILL)`.
        status: String,
        /// Whether it will be restarted.
        restarting: bool,
    },
    /// The instance is being stopped.
    Stopping {
        /// The instance.
        instance: String,
    },
    /// All processes of the instance have exited.
    Stopped {
        /// The instance.
        instance: String,
    },
    /// The state of a binary of the toolchain.
    Tool {
        /// The binary's name in the toolchain.
        name: String,
        /// The state.
        #[serde(flatten)]
        state: ToolState,
    },
    /// Information for the user.
    Note {
        /// The text.
        message: String,
    },
    /// A problem that the user should look at.
    Warning {
        /// The text.
        message: String,
    },
    /// The cluster is ready: its nodes are Ready and pods can be created.
    BootReady,
    /// A change of a running cluster is complete, and all instances are ready.
    Changed,
    /// A change of a running cluster failed.
    ChangeFailed {
        /// Why.
        error: String,
        /// The state before the change was restored.
        restored: bool,
    },
    /// A change was rejected before anything changed.
    ChangeRefused {
        /// Why.
        error: String,
    },
    /// A change was rejected, because the state has changed since the revision that it is based on.
    ChangeStale,
    /// The boot failed, and everything that it had started is cleaned up.
    BootFailed {
        /// Why.
        error: String,
        /// Whether the boot exceeded its time limit.
        #[serde(default)]
        timed_out: bool,
    },
}

impl Event {
    /// The event as shown outside the sandbox: paths in its texts are replaced by the host's paths.
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
    fn unit_events_and_tool_states_are_parsed_unchanged() {
        let building = ToolState::Building { detail: "k8s.io/api".into(), done: 3, total: 900 };
        for event in [Event::BootReady, Event::Tool { name: "crio".into(), state: building }] {
            let record = Record { at_us: u64::MAX, event };
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
        }
    }
}
