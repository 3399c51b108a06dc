//! `rename`: renames a cluster, running or stopped. Its ID stays the same, and no process is
//! restarted.
//!
//! The rename of the root directory is the commit. The name in files is updated afterwards. If that
//! is interrupted, the next command that opens the cluster completes it.

use super::handle::QUEUED_REQUEST_TIMEOUT;
use super::{Call, Cluster, ClusterError, HostError, InUseError, REQUEST_TIMEOUT, need_root, prepare};
use crate::boot::{BootFile, write_views};
use crate::chain::chain;
use crate::control::{Client, Request};
use crate::events::{Event, Sink};
use crate::kubeconfig::{self, Access, ConfigPaths};
use crate::root_dir::{self, ClusterFile, Root};
use crate::sandbox::lock;
use crate::settings;
use serde::Serialize;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A cluster that was renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// Its new name.
    pub name: String,
    /// Its old name.
    pub was: String,
    /// Its ID, which stays.
    pub id: String,
    /// Its root directory.
    pub root: PathBuf,
    /// The admin's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Whether it runs.
    pub running: bool,
    /// The users' kubeconfigs in which its context was renamed.
    pub merged: Vec<PathBuf>,
}

impl Cluster {
    /// Renames the cluster. A running cluster continues to run.
    ///
    /// # Errors
    /// The name is invalid or in use, another command works on the cluster, or an older version
    /// runs it. Nothing is changed then.
    pub fn rename(&self, name: &str, sink: &dyn Sink) -> Result<Renamed, HostError> {
        need_root("rename")?;
        let call = Call::new(self.call.program(), name, self.call.base());
        let name = settings::parse_name(name).map_err(ClusterError::InvalidName)?;
        let state = self.root().open_existing()?;
        if state.removing {
            return Err(ClusterError::NotFound { call: self.call.clone(), hint: String::new() }.into());
        }
        // The first lock excludes a boot of a stopped cluster, the second excludes commands that
        // write files by the old name.
        let stopped = lock::take(self.root())?;
        let _lock = self.lock_exclusive()?;
        if stopped.is_none() {
            self.check_renamable()?;
        }
        let places = ConfigPaths::of_process().unwrap_or_default();
        let taken = || HostError::from(ClusterError::NameTaken { call: call.clone(), from: self.name().to_owned() });
        if name != self.name() {
            if self.root().base().join(&name).symlink_metadata().is_ok() {
                return Err(taken());
            }
            kubeconfig::begin_rename(&Access::of(self.root())?, &name, &places)?;
        }
        let root = match self.root().rename(&name) {
            Ok(root) => root,
            // A repeated rename completes an earlier one that was interrupted.
            Err(root_dir::Error::Exists { .. }) if name == self.name() => self.root().clone(),
            Err(root_dir::Error::Exists { .. }) => return Err(taken()),
            Err(error) => return Err(error.into()),
        };
        let (merged, failed) = propagate_name(&root, &name, stopped.is_none());
        for why in failed {
            let message = format!("cluster `{name}` is renamed, but some files still have its old name: {why}");
            sink.emit(Event::Warning { message });
        }
        Ok(Renamed {
            was: self.name().to_owned(),
            id: state.id.map(String::from).unwrap_or_default(),
            root: root.path().to_owned(),
            kubeconfig: root.kubeconfig("admin"),
            running: stopped.is_none(),
            merged,
            name,
        })
    }

    /// Excludes a rename while a command writes into the root directory. `None` if the cluster was
    /// never booted.
    ///
    /// # Errors
    /// The cluster is being renamed, or its directory can't be locked.
    pub(super) fn lock_shared(&self) -> Result<Option<File>, HostError> {
        self.lock_run(File::try_lock_shared)
    }

    /// Excludes commands that write into the root directory of a running cluster. `None` if it was
    /// never booted.
    fn lock_exclusive(&self) -> Result<Option<File>, HostError> {
        self.lock_run(File::try_lock)
    }

    fn lock_run(&self, lock: fn(&File) -> Result<(), TryLockError>) -> Result<Option<File>, HostError> {
        let unreadable = |error| HostError::io("the cluster's directory `run` can't be locked")(error);
        let run = match File::open(self.root().run()) {
            Ok(run) => run,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        match lock(&run) {
            Ok(()) => Ok(Some(run)),
            Err(TryLockError::WouldBlock) => Err(InUseError::Changing(self.call.clone()).into()),
            Err(TryLockError::Error(error)) => Err(unreadable(error)),
        }
    }

    /// Checks that a running cluster isn't booting or ending.
    fn check_renamable(&self) -> Result<(), HostError> {
        let busy = |with| Err(InUseError::Busy { call: self.call.clone(), with }.into());
        if self.sandbox().is_err() {
            return busy("up");
        }
        match self.report()? {
            report if report.ending => busy("stop"),
            report if report.booted => Ok(()),
            _ => busy("up"),
        }
    }

    /// Completes a rename that was interrupted, or that was made by other means (`mv`). Errors are
    /// only logged: a later command tries again.
    pub(super) fn complete_rename(&self) {
        let (_, failed) = propagate_name(self.root(), self.name(), self.is_running());
        failed.iter().for_each(|why| log::debug!("{}: {why}", self.name()));
    }
}

/// Writes the new name into every file that has the name. Continues after errors. Returns the
/// changed kubeconfigs of users, and the errors.
fn propagate_name(root: &Root, name: &str, running: bool) -> (Vec<PathBuf>, Vec<String>) {
    let mut failed: Vec<String> = Vec::new();
    let mut note = |result: Result<(), HostError>| failed.extend(result.err().map(|error| error.to_string()));
    note(if running { send_name_to_init(root, name) } else { save_name(root, name) });
    note(write_kubeconfig(root, name));
    let renamed = Access::of(root)
        .and_then(|access| kubeconfig::finish_rename(&access, &ConfigPaths::of_process().unwrap_or_default()));
    let merged = renamed.unwrap_or_else(|error| {
        note(Err(error.into()));
        Vec::new()
    });
    if failed.is_empty()
        && let Err(error) = root.complete_rename()
    {
        failed.push(error.to_string());
    }
    (merged, failed)
}

/// Sends the new name to the init of a running cluster, which saves it in the state.
fn send_name_to_init(root: &Root, name: &str) -> Result<(), HostError> {
    let request = Request::Rename { name: name.to_owned() };
    Client::connect(root, REQUEST_TIMEOUT)?.ask_in_turn(&request, QUEUED_REQUEST_TIMEOUT)?;
    Ok(())
}

/// Saves the new name in the state of a stopped cluster.
fn save_name(root: &Root, name: &str) -> Result<(), HostError> {
    let Some(state) = ClusterFile::read(root)? else { return Ok(()) };
    let renamed = BootFile::renamed(root, &state, name);
    let unusable = |error: &io::Error| format!("the state of the cluster can't be read: {}", chain(error));
    let (next, _) = renamed.map_err(|error| HostError::io(unusable(&error))(error))?;
    next.commit(root)?;
    Ok(write_views(root, root, &next)?)
}

/// Writes the admin's kubeconfig.
fn write_kubeconfig(root: &Root, name: &str) -> Result<(), HostError> {
    let Ok(mut boot) = BootFile::read(root) else { return Ok(()) };
    boot.environment.cluster = name.to_owned();
    prepare::write_admin_kubeconfig(root, &boot.environment, boot.api_port)
}
