//! The input of a boot, and the entry points of keeper and init, which read it.
//!
//! The command writes a [`Boot`] into the cluster's state, and the init reads it there.
//!
//! Must not know: how namespaces are created, how the engine runs plans.

mod inside;

pub use inside::{Inside, enter_sandbox, private_directories, run_keeper};

use crate::graph::Environment;
use crate::network::{Egress, Published};
use crate::plugins::Snapshot;
use crate::root_dir::{ClusterFile, Environment as ShellEnvironment, Error as RootError, Root, write_atomic};
use crate::sandbox::PROGRAM;
use crate::settings::{self, Settings, WaitFor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Everything that the init needs to plan and run the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Boot {
    /// The values that the contexts of components are made from.
    pub environment: Environment,
    /// The component that fills each role; `none` for an empty role.
    pub slots: BTreeMap<String, String>,
    /// The plugins that provide components.
    #[serde(default)]
    pub plugins: Vec<Snapshot>,
    /// The API server's port on the host's 127.0.0.1.
    pub api_port: u16,
    /// Host ports that are forwarded to node ports.
    #[serde(default)]
    pub publish: Vec<Published>,
    /// The host's egress.
    #[serde(default)]
    pub outside: Egress,
    /// The host name inside.
    pub hostname: String,
    /// The time limit of the boot, in seconds.
    pub boot_timeout_s: u64,
    /// What `up` waits for before it returns.
    #[serde(default)]
    pub wait: WaitFor,
}

/// Reads and edits the [`Boot`] in a cluster's committed state.
pub struct BootFile;

impl BootFile {
    /// Reads it from the root directory.
    ///
    /// # Errors
    /// The cluster was never booted, or its committed state can't be read.
    pub fn read(root: &Root) -> io::Result<Boot> {
        let state = ClusterFile::read(root).map_err(io::Error::other)?.ok_or(io::ErrorKind::NotFound)?;
        Self::parse(&state)
    }

    /// Parses that of a state.
    ///
    /// # Errors
    /// It isn't a serialized [`Boot`].
    pub fn parse(state: &ClusterFile) -> io::Result<Boot> {
        serde_json::from_value(state.boot.clone()).map_err(Into::into)
    }

    /// The next state, with `edit` applied to the settings and the [`Boot`] of this one.
    ///
    /// # Errors
    /// The settings or the [`Boot`] can't be parsed.
    pub fn edited(
        root: &Root,
        state: &ClusterFile,
        edit: impl FnOnce(&mut Settings, &mut Boot),
    ) -> io::Result<(ClusterFile, Boot)> {
        let mut settings = settings::parse_saved(root, &state.settings).map_err(io::Error::other)?;
        let mut boot = Self::parse(state)?;
        edit(&mut settings, &mut boot);
        let next = state.next(settings.to_toml(), state.allotment.clone(), serde_json::to_value(&boot)?);
        Ok((next, boot))
    }

    /// The next state, with another name of the cluster. The name is a label: no plan and no path
    /// inside depends on it.
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

/// The environment of a user's shell for the cluster, with `root` as its directory.
pub fn shell_environment(root: &Root, environment: &Environment) -> ShellEnvironment {
    // The path of our own program exists in sandboxes only.
    let binaries = environment.binaries.values().filter(|path| *path != Path::new(PROGRAM));
    let directories: BTreeSet<PathBuf> = binaries.filter_map(|path| Some(root.to_outside(path.parent()?))).collect();
    // System directories are in every PATH. Prepending them would hide the user's programs.
    let path = directories.into_iter().filter(|path| !path.starts_with("/usr") && !path.starts_with("/bin")).collect();
    let variables = environment.variables.iter().map(|(name, text)| (name.clone(), root.text_to_outside(text)));
    ShellEnvironment { kubeconfig: root.kubeconfig("admin"), path, variables: variables.collect() }
}

/// Writes the files derived from a state: `kubernix.toml`, `allotted.json` and `kubernix.env`.
/// Continues after an error. `outside` is the root directory by its path on the host, which
/// `kubernix.env` refers to.
///
/// # Errors
/// The first error.
pub fn write_views(root: &Root, outside: &Root, state: &ClusterFile) -> Result<(), RootError> {
    let settings = write_atomic(&root.settings_file(), state.settings.as_bytes(), 0o600).map(drop);
    let nodes = state.allotment.write(root).map(drop);
    let shell = match BootFile::parse(state) {
        Ok(boot) => root.save_environment(&shell_environment(outside, &boot.environment)).map(drop),
        Err(cause) => Err(RootError::io("read", &ClusterFile::path(root), cause)),
    };
    settings.and(nodes).and(shell)
}
