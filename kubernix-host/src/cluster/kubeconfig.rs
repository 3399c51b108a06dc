//! Adds a cluster's context to the user's own kubeconfig, updates it after each boot, and removes
//! it.

use super::{Cluster, HostError};
use crate::events::{Event, Sink};
use crate::kubeconfig::{self, Access, ConfigPaths, Merged};
use crate::root_dir::Root;
use crate::settings::Settings;
use std::path::PathBuf;

/// Checks before a boot that the context can be merged, if the settings request it.
pub(super) fn before_boot(root: &Root, settings: &Settings) -> Result<(), HostError> {
    if settings.merge_kubeconfig {
        kubeconfig::check(&Access::of(root)?, &ConfigPaths::of_process()?)?;
    }
    Ok(())
}

/// Merges the context, if the settings request it. Otherwise updates the context in files that it
/// was merged into before. The cluster runs, so an error is only a warning.
pub(super) fn after_boot(root: &Root, settings: &Settings, sink: &dyn Sink) -> Option<Merged> {
    merge_or_refresh(root, settings, sink).unwrap_or_else(|error| {
        sink.emit(Event::Warning { message: error.to_string() });
        None
    })
}

fn merge_or_refresh(root: &Root, settings: &Settings, sink: &dyn Sink) -> Result<Option<Merged>, kubeconfig::Error> {
    let access = current_access(root)?;
    if settings.merge_kubeconfig {
        return kubeconfig::merge(&access, &ConfigPaths::of_process()?).map(Some);
    }
    for file in kubeconfig::refresh(&access, &ConfigPaths::of_process().unwrap_or_default())? {
        let message = format!("context `{}` in {} is updated for this boot", access.name, file.display());
        sink.emit(Event::Note { message });
    }
    Ok(None)
}

/// The cluster's access data, after its merged entries were renamed to its present name.
fn current_access(root: &Root) -> Result<Access, kubeconfig::Error> {
    kubeconfig::finish_rename(&Access::of(root)?, &ConfigPaths::of_process().unwrap_or_default())?;
    Access::of(root)
}

impl Cluster {
    /// Adds the cluster's context to the user's own kubeconfig, as the current context.
    ///
    /// # Errors
    /// As [`kubeconfig::merge`].
    pub fn merge_kubeconfig(&self) -> Result<Merged, HostError> {
        Ok(kubeconfig::merge(&current_access(self.root())?, &ConfigPaths::of_process()?)?)
    }

    /// Removes the cluster's context from the user's own kubeconfig, and from all others that it
    /// was merged into. Returns the changed files.
    ///
    /// # Errors
    /// As [`kubeconfig::remove`].
    pub fn remove_kubeconfig(&self) -> Result<Vec<PathBuf>, HostError> {
        Ok(kubeconfig::remove(&current_access(self.root())?, &ConfigPaths::of_process().unwrap_or_default())?)
    }

    /// As [`Cluster::remove_kubeconfig`], for the removal of the cluster: an error is only a
    /// warning.
    pub(super) fn remove_from_kubeconfigs(&self, sink: &dyn Sink) {
        match self.remove_kubeconfig() {
            Ok(files) => files.into_iter().for_each(|file| {
                let message = format!("context `kubernix-{}` is removed from {}", self.name(), file.display());
                sink.emit(Event::Note { message });
            }),
            Err(error) => {
                let message = format!("a kubeconfig may still have the cluster's context: {error}");
                sink.emit(Event::Warning { message });
            }
        }
    }
}
