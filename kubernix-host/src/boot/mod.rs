//! What a cluster is booted from, and how keeper and init come to it.
//!
//! The command writes a [`Boot`] into the cluster's state, and the init reads it there. This module
//! must not know how namespaces are made, nor how the engine runs what is planned.

mod inside;

pub use inside::{Inside, enter_sandbox, private_directories, run_keeper};

use crate::graph::Environment;
use crate::network::{Egress, Published};
use crate::plugins::Snapshot;
use crate::root::{ClusterFile, Environment as Shell, Error as RootError, Root, write_atomic};
use crate::sandbox::PROGRAM;
use crate::settings::{self, Settings, WaitFor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    pub outside: Egress,
    /// The host name inside.
    pub hostname: String,
    /// How long the boot may take, in seconds.
    pub boot_timeout_s: u64,
    /// How far it has come when `up` returns.
    #[serde(default)]
    pub wait: WaitFor,
}

/// What the init boots from, as it is part of the state in force.
pub struct BootFile;

impl BootFile {
    /// Reads it.
    ///
    /// # Errors
    /// The cluster was never booted, or the state in force can't be read.
    pub fn read(root: &Root) -> io::Result<Boot> {
        let state = ClusterFile::read(root).map_err(io::Error::other)?.ok_or(io::ErrorKind::NotFound)?;
        Self::parse(&state)
    }

    /// That of a state.
    ///
    /// # Errors
    /// It isn't what [`Boot`] is written as.
    pub fn parse(state: &ClusterFile) -> io::Result<Boot> {
        serde_json::from_value(state.boot.clone()).map_err(Into::into)
    }

    /// The state that follows this one, with something edited in its settings and in what the init
    /// boots from.
    ///
    /// # Errors
    /// Its settings can't be read, or it isn't what [`Boot`] is written as.
    pub fn edited(
        root: &Root,
        state: &ClusterFile,
        edit: impl FnOnce(&mut Settings, &mut Boot),
    ) -> io::Result<(ClusterFile, Boot)> {
        let mut settings = settings::of_text(root, &state.settings).map_err(io::Error::other)?;
        let mut boot = Self::parse(state)?;
        edit(&mut settings, &mut boot);
        let next = state.next(settings.to_toml(), state.allotment.clone(), serde_json::to_value(&boot)?);
        Ok((next, boot))
    }

    /// The state that follows this one, with another name of the cluster. The name is a label: no
    /// plan and no path inside depends on it.
    ///
    /// # Errors
    /// As [`BootFile::edited`].
    pub fn renamed(root: &Root, state: &ClusterFile, name: &str) -> io::Result<(ClusterFile, Boot)> {
        Self::edited(root, state, |settings, boot| {
            name.clone_into(&mut settings.name);
            name.clone_into(&mut boot.environment.cluster);
        })
    }
}

/// What a shell needs to work with the cluster, where its directory is seen so.
pub fn shell(root: &Root, environment: &Environment) -> Shell {
    // Our own program has this path in sandboxes alone.
    let there = environment.binaries.values().filter(|path| *path != Path::new(PROGRAM));
    let directories: BTreeSet<PathBuf> = there.filter_map(|path| Some(root.to_outside(path.parent()?))).collect();
    // The system's own directories are in every PATH, and not in front of a user's.
    let own = directories.into_iter().filter(|path| !path.starts_with("/usr") && !path.starts_with("/bin"));
    let path = own.collect();
    let variables = environment.variables.iter().map(|(name, text)| (name.clone(), root.text_to_outside(text)));
    Shell { kubeconfig: root.kubeconfig("admin"), path, variables: variables.collect() }
}

/// Writes the views of a state: `kubernix.toml`, `allotted.json` and `kubernix.env`. Goes on past
/// errors. `outside` is the root directory as the host sees it, which the views are for.
///
/// # Errors
/// The first of them that can't be written.
pub fn write_views(root: &Root, outside: &Root, state: &ClusterFile) -> Result<(), RootError> {
    let settings = write_atomic(&root.settings_file(), state.settings.as_bytes(), 0o600).map(drop);
    let nodes = state.allotment.write(root).map(drop);
    let shell = match BootFile::parse(state) {
        Ok(boot) => root.save_environment(&shell(outside, &boot.environment)).map(drop),
        Err(cause) => Err(RootError::io("read", &ClusterFile::path(root), cause)),
    };
    settings.and(nodes).and(shell)
}
