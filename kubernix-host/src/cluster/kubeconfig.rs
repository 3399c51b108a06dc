//! When a cluster's context comes into the user's own kubeconfig, and when it goes.

use super::{Cluster, HostError};
use crate::events::{Event, Sink};
use crate::kubeconfig::{self, Access, ConfigPaths, Merged};
use crate::root::Root;
use crate::settings::Settings;
use std::path::PathBuf;

/// Refuses what would keep the context from being merged after the boot, where that is to be.
pub(super) fn before_boot(root: &Root, settings: &Settings) -> Result<(), HostError> {
    if settings.merge_kubeconfig {
        kubeconfig::check(&Access::of(root)?, &ConfigPaths::of_process()?)?;
    }
    Ok(())
}

/// Merges the context, where that is to be; else brings one that was merged to what is true now. The cluster runs, so what
/// fails is only a warning.
pub(super) fn after_boot(root: &Root, settings: &Settings, sink: &dyn Sink) -> Option<Merged> {
    let result = present(root).and_then(|access| match settings.merge_kubeconfig {
        true => kubeconfig::merge(&access, &ConfigPaths::of_process()?).map(Some),
        false => {
            let changed = kubeconfig::refresh(&access, &ConfigPaths::of_process().unwrap_or_default())?;
            for file in changed {
                let message = format!("context `{}` in {} leads to this boot now", access.name, file.display());
                sink.emit(Event::Note { message });
            }
            Ok(None)
        }
    });
    result.unwrap_or_else(|error| {
        sink.emit(Event::Warning { message: error.to_string() });
        None
    })
}

/// How a cluster is reached, once its entries have the name that it has now.
fn present(root: &Root) -> Result<Access, kubeconfig::Error> {
    kubeconfig::finish_rename(&Access::of(root)?, &ConfigPaths::of_process().unwrap_or_default())?;
    Access::of(root)
}

impl Cluster {
    /// Puts its context into the user's own kubeconfig, and makes it the current one.
    ///
    /// # Errors
    /// As [`kubeconfig::merge`].
    pub fn merge_kubeconfig(&self) -> Result<Merged, HostError> {
        Ok(kubeconfig::merge(&present(self.root())?, &ConfigPaths::of_process()?)?)
    }

    /// Takes its context out of the user's own kubeconfig, and out of all others that it was merged into. Returns the files that
    /// had it.
    ///
    /// # Errors
    /// As [`kubeconfig::remove`].
    pub fn remove_kubeconfig(&self) -> Result<Vec<PathBuf>, HostError> {
        Ok(kubeconfig::remove(&present(self.root())?, &ConfigPaths::of_process().unwrap_or_default())?)
    }

    /// The same, for a cluster that goes: what fails is only a warning.
    pub(super) fn leave_kubeconfigs(&self, sink: &dyn Sink) {
        match self.remove_kubeconfig() {
            Ok(files) => files.into_iter().for_each(|file| {
                let message = format!("context `kubernix-{}` is taken out of {}", self.name(), file.display());
                sink.emit(Event::Note { message });
            }),
            Err(error) => {
                let message = format!("the cluster's context may be left in a kubeconfig: {error}");
                sink.emit(Event::Warning { message });
            }
        }
    }
}
