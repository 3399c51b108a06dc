//! Errors of a change of a running cluster.

use crate::settings::Call;

/// A change of a running cluster failed, or its outcome isn't known yet.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change failed after it had begun.
    #[error("the change of cluster `{}` failed: {why}\n{}", .call.name(), after_rollback(.call, *.restored))]
    Failed {
        /// The cluster.
        call: Call,
        /// The reason.
        why: String,
        /// Everything that ran before runs again.
        restored: bool,
    },
    /// The cluster rejected the change. Nothing was changed.
    #[error("cluster `{}` can't be changed now: {why}; `{}` shows its state", .call.name(), .call.to("status"))]
    Refused {
        /// The cluster.
        call: Call,
        /// The reason.
        why: String,
    },
    /// The change takes longer than this command waits, or the user ended the wait. The change
    /// continues.
    #[error(
        "the change of cluster `{}` continues in the background: `{}` shows its progress",
        .0.name(), .0.to("status")
    )]
    InProgress(Call),
    /// The cluster has no record of the change: it ended during the change, or was booted again
    /// since.
    #[error(
        "cluster `{}` ended during the change, which is now either complete or undone: `{}` shows which",
        .0.name(), .0.to("status")
    )]
    Lost(Call),
}

fn after_rollback(call: &Call, restored: bool) -> String {
    if restored {
        return "what ran before runs again".into();
    }
    format!("the rollback failed as well: `{}` shows what doesn't run", call.to("status"))
}

impl ChangeError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { .. } | Self::Lost(_) => 6,
            Self::Refused { .. } => 4,
            Self::InProgress(_) => 7,
        }
    }
}
