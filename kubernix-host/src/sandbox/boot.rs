//! What the command hands to the sandbox: all that the init needs to plan and run the cluster.

use crate::graph::Environment;
use crate::network::{Outside, Published};
use crate::plugins::Snapshot;
use crate::root::{Error as RootError, Root, write_atomic};
use crate::spec::WaitFor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// All that the init needs to plan and run the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Boot {
    /// What contexts are cut from.
    pub environment: Environment,
    /// The component that fills each role; `none` where it stays empty.
    pub slots: BTreeMap<String, String>,
    /// Plugins that components come from.
    #[serde(default)]
    pub plugins: Vec<Snapshot>,
    /// The API server's port on the host's 127.0.0.1.
    pub api_port: u16,
    /// Ports of the nodes that the host answers at.
    #[serde(default)]
    pub publish: Vec<Published>,
    /// What the host has of the world outside.
    #[serde(default)]
    pub outside: Outside,
    /// The host name inside.
    pub hostname: String,
    /// How long the boot may take, in seconds.
    pub boot_timeout_s: u64,
    /// How far it has come when `up` returns.
    #[serde(default)]
    pub wait: WaitFor,
}

/// `run/boot.json` of a root directory.
pub struct BootFile;

impl BootFile {
    fn path(root: &Root) -> PathBuf {
        root.run().join("boot.json")
    }

    /// What a running cluster is to become.
    fn change(root: &Root) -> PathBuf {
        root.run().join("change.json")
    }

    /// Writes it.
    ///
    /// # Errors
    /// The root directory can't be written.
    pub fn write(root: &Root, boot: &Boot) -> Result<(), RootError> {
        write(&Self::path(root), boot)
    }

    /// Writes down what a running cluster is to become.
    ///
    /// # Errors
    /// The root directory can't be written.
    pub fn write_change(root: &Root, boot: &Boot) -> Result<(), RootError> {
        write(&Self::change(root), boot)
    }

    /// Reads what the cluster is to become.
    ///
    /// # Errors
    /// As [`BootFile::read`].
    pub fn read_change(root: &Root) -> io::Result<Boot> {
        serde_json::from_slice(&std::fs::read(Self::change(root))?).map_err(Into::into)
    }

    /// The cluster is now what it was to become.
    ///
    /// # Errors
    /// The root directory can't be written.
    pub fn keep_change(root: &Root) -> io::Result<()> {
        std::fs::rename(Self::change(root), Self::path(root))
    }

    /// Reads it.
    ///
    /// # Errors
    /// It isn't there, or isn't what [`BootFile::write`] wrote.
    pub fn read(root: &Root) -> io::Result<Boot> {
        serde_json::from_slice(&std::fs::read(Self::path(root))?).map_err(Into::into)
    }
}

fn write(path: &Path, boot: &Boot) -> Result<(), RootError> {
    let text = serde_json::to_vec_pretty(boot).unwrap_or_default();
    write_atomic(path, &text, 0o600).map(drop)
}
