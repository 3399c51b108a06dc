//! Errors of commands that find the cluster running, or in use by another command.

use crate::settings::Call;

/// The cluster runs already, or another command uses it. The exit code of all is 4.
#[derive(Debug, thiserror::Error)]
pub enum InUseError {
    /// The cluster runs.
    #[error("cluster `{}` runs already: `{}` shows it, `{}` ends it", .0.name(), .0.to("status"), .0.to("down"))]
    Running(Call),
    /// The cluster runs, and the requested changes need a new boot.
    #[error(
        "cluster `{}` is running, and this needs a new boot: {}; run `{}`, then `up` with the same settings",
        .call.name(), .changes.join(", "), .call.to("stop")
    )]
    NeedsBoot {
        /// The cluster.
        call: Call,
        /// The changes, each as a sentence.
        changes: Vec<String>,
    },
    /// Another command works on the cluster.
    #[error(
        "another `kubernix {with}` is at work on cluster `{}`: try again when it is done, `{}` shows its progress",
        .call.name(), .call.to("status")
    )]
    Busy {
        /// The cluster.
        call: Call,
        /// The other command.
        with: &'static str,
    },
    /// Another command changes the cluster, or changed it after this command had read its state.
    #[error(
        "another command is changing cluster `{}`, or has just changed it: try again, `{}` shows its state",
        .0.name(), .0.to("status")
    )]
    Changing(Call),
}
