//! What is told while tools are searched, built and installed. Must not know what is done with it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Is told how far the search for tools is.
pub trait Reporter {
    /// How far one tool is.
    fn tool(&self, name: &str, state: ToolState);

    /// Something worth saying.
    fn note(&self, message: String);
}

/// How far the search for a binary is.
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
        /// What is being done at this moment.
        detail: String,
        /// Steps that are done.
        done: u64,
        /// Steps in all; 0 where that isn't known.
        total: u64,
    },
    /// It is there.
    Ready {
        /// The provider it came from.
        provider: String,
        /// Its version.
        version: String,
        /// Where it lies.
        path: PathBuf,
    },
    /// No provider can supply it.
    Failed {
        /// Why.
        error: String,
    },
}
