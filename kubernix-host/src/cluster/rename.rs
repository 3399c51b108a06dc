//! `rename`: another name for a cluster, whether it runs or not. Its ID stays, and nothing of it is started anew.
//!
//! The root directory's new name is the commit. What carries the name in files follows; where that breaks off, the next command
//! that finds the cluster completes it.

use super::handle::IN_TURN;
use super::{ANSWER, Call, Cluster, HostError, need_root, prepare};
use crate::boot::{BootFile, write_views};
use crate::chain::chain;
use crate::control::{Client, Request};
use crate::events::{Event, Sink};
use crate::kubeconfig::{self, Access, ConfigPaths};
use crate::root::{self, ClusterFile, Root};
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
    /// It runs, and goes on.
    pub running: bool,
    /// The users' kubeconfigs in which its context has the new name.
    pub merged: Vec<PathBuf>,
}

impl Cluster {
    /// Gives the cluster another name. One that runs goes on.
    ///
    /// # Errors
    /// The name is none, or taken; another command is at work on the cluster, or an older version runs it. Nothing is changed
    /// then.
    pub fn rename(&self, name: &str, sink: &dyn Sink) -> Result<Renamed, HostError> {
        need_root("rename")?;
        let call = Call::new(self.call.program(), name, self.call.base());
        let name = settings::parse_name(name).map_err(|reason| HostError::NoName { reason })?;
        let state = self.root().open_existing()?;
        if state.removing {
            return Err(HostError::NoSuchCluster { call: self.call.clone(), hint: String::new() });
        }
        // One that is stopped can't begin meanwhile, and no command writes into one that runs by its old name.
        let stopped = lock::take(self.root())?;
        let _alone = self.alone()?;
        if stopped.is_none() {
            self.can_be_renamed()?;
        }
        let places = ConfigPaths::of_process().unwrap_or_default();
        let taken = || HostError::NameTaken { call: call.clone(), from: self.name().to_owned() };
        if name != self.name() {
            if self.root().base().join(&name).symlink_metadata().is_ok() {
                return Err(taken());
            }
            kubeconfig::begin_rename(&Access::of(self.root())?, &name, &places)?;
        }
        let root = match self.root().rename(&name) {
            Ok(root) => root,
            // The second of two renames completes what the first may have left.
            Err(root::Error::Exists { .. }) if name == self.name() => self.root().clone(),
            Err(root::Error::Exists { .. }) => return Err(taken()),
            Err(error) => return Err(error.into()),
        };
        let (merged, failed) = follow(&root, &name, stopped.is_none());
        for why in failed {
            let message = format!("cluster `{name}` is renamed, and not all in its directory says so yet: {why}");
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

    /// Keeps a rename away from a command that writes into the directory of a running cluster; `None` where it was never booted.
    ///
    /// # Errors
    /// It is being renamed, or its directory can't be locked.
    pub(super) fn writing(&self) -> Result<Option<File>, HostError> {
        self.lock_run(File::try_lock_shared)
    }

    /// Keeps away commands that write into the directory of a running cluster; `None` where it was never booted.
    fn alone(&self) -> Result<Option<File>, HostError> {
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
            Err(TryLockError::WouldBlock) => Err(HostError::Changing(self.call.clone())),
            Err(TryLockError::Error(error)) => Err(unreadable(error)),
        }
    }

    /// Whether a cluster that runs can be renamed as it is.
    fn can_be_renamed(&self) -> Result<(), HostError> {
        let busy = |with| HostError::Busy { call: self.call.clone(), with };
        if self.sandbox().is_err() {
            return Err(busy("up"));
        }
        match self.report()? {
            report if report.ending => Err(busy("stop")),
            report if report.booted => Ok(()),
            _ => Err(busy("up")),
        }
    }

    /// Completes a rename that broke off, or one by other means than ours. What can't be written now is by a later command.
    pub(super) fn complete_rename(&self) {
        let (_, failed) = follow(self.root(), self.name(), self.is_running());
        failed.iter().for_each(|why| log::debug!("{}: {why}", self.name()));
    }
}

/// Brings all that carries the name up to it. Goes on past errors; returns the users' kubeconfigs that were changed, and what failed.
fn follow(root: &Root, name: &str, running: bool) -> (Vec<PathBuf>, Vec<String>) {
    let mut failed: Vec<String> = Vec::new();
    let mut note = |result: Result<(), HostError>| failed.extend(result.err().map(|error| error.to_string()));
    note(if running { tell_init_of_new_name(root, name) } else { save_name(root, name) });
    note(write_kubeconfig(root, name));
    let renamed = Access::of(root)
        .and_then(|access| kubeconfig::finish_rename(&access, &ConfigPaths::of_process().unwrap_or_default()));
    let merged = renamed.unwrap_or_else(|error| {
        note(Err(error.into()));
        Vec::new()
    });
    if failed.is_empty()
        && let Err(error) = root.settle_name()
    {
        failed.push(error.to_string());
    }
    (merged, failed)
}

/// Tells the init of a running cluster what it is called now: it writes what the next boot begins with.
fn tell_init_of_new_name(root: &Root, name: &str) -> Result<(), HostError> {
    Client::connect(root, ANSWER)?.ask_in_turn(&Request::Rename { name: name.to_owned() }, IN_TURN)?;
    Ok(())
}

/// Writes what the next boot of a stopped cluster begins with.
fn save_name(root: &Root, name: &str) -> Result<(), HostError> {
    let Some(state) = ClusterFile::read(root)? else { return Ok(()) };
    let renamed = BootFile::renamed(root, &state, name);
    let unusable = |error: &io::Error| format!("what the cluster was booted with can't be read: {}", chain(error));
    let (next, _) = renamed.map_err(|error| HostError::io(unusable(&error))(error))?;
    next.commit(root)?;
    Ok(write_views(root, root, &next)?)
}

/// Writes the kubeconfig that users reach the cluster by.
fn write_kubeconfig(root: &Root, name: &str) -> Result<(), HostError> {
    let Ok(mut boot) = BootFile::read(root) else { return Ok(()) };
    boot.environment.cluster = name.to_owned();
    prepare::write_admin_kubeconfig(root, &boot.environment, boot.api_port)
}
