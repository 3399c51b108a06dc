//! `up` of a cluster that exists: a running cluster is changed to new settings, or ended and
//! created again.

use super::change::ChangeOptions;
use super::{Cluster, ClusterError, Host, HostError, InUseError, State, kubeconfig};
use crate::events::{Event, Sink};
use crate::kubeconfig::Access;
use crate::network::Published;
use crate::root_dir::{self, Allotment, Root};
use crate::sandbox::lock;
use crate::settings::{self, Change, Resolved};

/// What `up` does if a cluster of the same name exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Boot a stopped cluster; change a running cluster to settings that differ.
    Update,
    /// Boot a stopped cluster; reject a running cluster.
    Refuse,
    /// Remove the cluster, running or not, but keep its settings; then boot it as a new one.
    Recreate,
}

impl Host {
    /// Changes a running cluster to settings that differ from those of its last boot. Returns the
    /// restarted instances, and the API server's port.
    ///
    /// # Errors
    /// No setting differs, a setting differs that needs a new boot, or the cluster is booting or
    /// ending; nothing is changed then. Otherwise as [`Host::change`].
    pub(super) fn apply_change(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        root: &Root,
        sink: &dyn Sink,
    ) -> Result<(Vec<String>, u16), HostError> {
        let call = self.call(&resolved.settings);
        let cluster = match Cluster::find(call.clone()) {
            // The other command has created the directory, but not its files yet.
            Err(HostError::Cluster(ClusterError::NotFound { .. })) => {
                return Err(InUseError::Busy { call, with: "up" }.into());
            }
            found => found?,
        };
        let boot = cluster.boot_in_force().ok();
        let ports @ [api_port, _] =
            boot.map(|boot| [boot.api_port, boot.environment.registry_port]).unwrap_or_default();
        let changes: Vec<Change> =
            resolved.changes().into_iter().filter(|change| !is_in_effect(change, ports)).collect();
        if changes.is_empty() {
            return Err(InUseError::Running(call).into());
        }
        let fixed: Vec<String> = changes.iter().filter(|change| change.needs_boot).map(describe).collect();
        if !fixed.is_empty() {
            return Err(InUseError::NeedsBoot { call, changes: fixed }.into());
        }
        let report = cluster.report();
        if !report.as_ref().is_ok_and(|report| report.booted && !report.ending) {
            return Err(match (report, cluster.quick_status()?.state) {
                (Err(silent), State::Broken) => silent,
                (_, State::Stopping | State::Stopped) => InUseError::Busy { call, with: "stop" }.into(),
                _ => InUseError::Busy { call, with: "up" }.into(),
            });
        }
        let settings = &resolved.settings;
        kubeconfig::before_boot(root, settings)?;
        cluster.can_publish(&settings.publish)?;
        Ok((self.submit_change(resolved, allotment, ChangeOptions::default(), sink)?, api_port))
    }

    /// The requested ports that the cluster publishes itself at present. They become free when it
    /// ends.
    pub(super) fn own_ports(&self, resolved: &Resolved) -> Vec<Published> {
        let cluster = Cluster::find(self.call(&resolved.settings)).ok().filter(Cluster::is_running);
        let open = cluster.and_then(|cluster| cluster.ports().ok()).unwrap_or_default();
        let is_open = |one: &&Published| open.iter().any(|port| port.spec.host_port == one.host_port);
        resolved.settings.publish.iter().filter(is_open).copied().collect()
    }

    /// Ends the cluster's processes and empties its root directory. The returned lock excludes
    /// other commands until the boot takes it over; `None` if there is no root directory.
    ///
    /// # Errors
    /// Processes don't end, or files can't be removed.
    pub(super) fn clear_for_recreation(
        &self,
        resolved: &Resolved,
        root: &Root,
        sink: &dyn Sink,
    ) -> Result<Option<lock::Lock>, HostError> {
        match root.open_existing() {
            Err(root_dir::Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let cluster = Cluster::find(self.call(&resolved.settings))?;
        let Some(lock) = cluster.end(sink)? else { return Ok(None) };
        let access = Access::of(root);
        root.clear()?;
        // The user's kubeconfig that has the context must be updated after the boot.
        if let Ok(Err(error)) = access.map(|access| access.carry_over()) {
            log::warn!("{error}");
        }
        // Saved at once: if a later step fails, `up` can be repeated with the same settings.
        settings::save(root, &resolved.settings)?;
        sink.emit(Event::Stopped { instance: cluster.name().to_owned() });
        Ok(Some(lock))
    }
}

/// Whether a change requests the port that the cluster uses already.
fn is_in_effect(change: &Change, [api_port, registry_port]: [u16; 2]) -> bool {
    match &*change.key {
        "port" => change.new == api_port.to_string(),
        "registry-port" => change.new == registry_port.to_string(),
        _ => false,
    }
}

fn describe(change: &Change) -> String {
    format!("`{}` is `{}` and can't become `{}`", change.key, change.old, change.new)
}
