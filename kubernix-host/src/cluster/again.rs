//! `up` of a cluster that is there: one that runs goes over to settings that differ, or is ended for a fresh start.

use super::change::Order;
use super::{Cluster, Host, HostError, State, kubeconfig};
use crate::events::{Event, Sink};
use crate::kubeconfig::Access;
use crate::network::Published;
use crate::root::{self, Allotment, Root};
use crate::sandbox::lock;
use crate::settings::{self, Change, Resolved};

/// What becomes of a cluster of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// One that is stopped is continued; one that runs goes over to settings that differ.
    GoesOn,
    /// One that is stopped is continued; one that runs isn't touched.
    IsLeft,
    /// It is removed, running or not, but for its settings.
    StartsOver,
}

impl Host {
    /// Brings a cluster that runs to settings that differ from those that it was booted with. Returns what was started anew, and
    /// the API server's port.
    ///
    /// # Errors
    /// Nothing differs, or what only a boot can change, or the cluster is just booting or ending: it goes on as it was then. As
    /// [`Host::change`] otherwise.
    pub(super) fn go_over(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        root: &Root,
        sink: &dyn Sink,
    ) -> Result<(Vec<String>, u16), HostError> {
        let call = self.call(&resolved.settings);
        let cluster = match Cluster::find(call.clone()) {
            // The directory of one that is only just beginning.
            Err(HostError::NoSuchCluster { .. }) => return Err(HostError::Busy { call, with: "up" }),
            found => found?,
        };
        let boot = cluster.boot_in_force().ok();
        let ports @ [api_port, _] =
            boot.map(|boot| [boot.api_port, boot.environment.registry_port]).unwrap_or_default();
        let changes: Vec<Change> =
            resolved.changes().into_iter().filter(|change| !is_so_already(change, ports)).collect();
        if changes.is_empty() {
            return Err(HostError::Running(call));
        }
        let fixed: Vec<String> = changes.iter().filter(|change| change.of_boot).map(told).collect();
        if !fixed.is_empty() {
            return Err(HostError::OfBoot { call, changes: fixed });
        }
        let report = cluster.report();
        if !report.as_ref().is_ok_and(|report| report.booted && !report.ending) {
            return Err(match (report, cluster.glance()?.state) {
                (Err(silent), State::Broken) => silent,
                (_, State::Stopping | State::Stopped) => HostError::Busy { call, with: "stop" },
                _ => HostError::Busy { call, with: "up" },
            });
        }
        let settings = &resolved.settings;
        kubeconfig::before_boot(root, settings)?;
        cluster.can_publish(&settings.publish)?;
        Ok((self.carry_out(resolved, allotment, Order::default(), sink)?, api_port))
    }

    /// Those of the ports to be published that a cluster which is about to start over has itself.
    pub(super) fn own_ports(&self, resolved: &Resolved) -> Vec<Published> {
        let cluster = Cluster::find(self.call(&resolved.settings)).ok().filter(Cluster::is_running);
        let open = cluster.and_then(|cluster| cluster.ports().ok()).unwrap_or_default();
        let is_open = |one: &&Published| open.iter().any(|port| port.spec.place == one.place);
        resolved.settings.publish.iter().filter(is_open).copied().collect()
    }

    /// Ends what runs of a cluster and empties its directory; the lock that is returned keeps others away until the boot has it.
    ///
    /// # Errors
    /// It doesn't end, or can't be removed.
    pub(super) fn start_over(
        &self,
        resolved: &Resolved,
        root: &Root,
        sink: &dyn Sink,
    ) -> Result<Option<lock::Lock>, HostError> {
        match root.open_existing() {
            Err(root::Error::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let cluster = Cluster::find(self.call(&resolved.settings))?;
        let Some(lock) = cluster.end(sink)? else { return Ok(None) };
        let access = Access::of(root);
        root.start_over()?;
        // Where its context was merged it is to be kept true.
        if let Ok(Err(error)) = access.map(|access| access.carry_over()) {
            log::warn!("{error}");
        }
        // At once, so that what fails from here on can be tried again with the same settings.
        settings::save(root, &resolved.settings)?;
        sink.emit(Event::Stopped { instance: cluster.name().to_owned() });
        Ok(Some(lock))
    }
}

/// Whether a change only says what is so by itself.
fn is_so_already(change: &Change, [api_port, registry_port]: [u16; 2]) -> bool {
    match &*change.key {
        "port" => change.new == api_port.to_string(),
        "registry-port" => change.new == registry_port.to_string(),
        _ => false,
    }
}

fn told(change: &Change) -> String {
    format!("`{}` is `{}` and can't become `{}`", change.key, change.old, change.new)
}
