//! The progress of a search for tools: which are found, built and installed. Must not know how it
//! is shown.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Receives the progress of a search for tools.
pub trait Reporter {
    /// One tool has a new state.
    fn tool(&self, name: &str, state: ToolState);

    /// A message for the user.
    fn note(&self, message: String);
}

/// The state of the search for one tool.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ToolState {
    /// Providers are being asked.
    Checking,
    /// A host package is being installed.
    Installing {
        /// The command that installs it.
        command: String,
    },
    /// It is being built.
    Building {
        /// The present step.
        detail: String,
        /// The number of completed steps.
        done: u64,
        /// The number of all steps; 0 if that isn't known.
        total: u64,
    },
    /// It was found, built or installed.
    Ready {
        /// The provider that supplied it.
        provider: String,
        /// Its version.
        version: String,
        /// Its path.
        path: PathBuf,
    },
    /// No provider can supply it.
    Failed {
        /// The reasons, by provider.
        error: String,
    },
}
