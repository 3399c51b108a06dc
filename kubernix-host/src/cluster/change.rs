//! A change of a running cluster: other components in its slots, other binaries, other parameters,
//! other nodes.
//!
//! The command computes the complete new state, sends it to the cluster's init, and shows the
//! progress. The init applies and commits it, even if the command is killed.

use super::handle::parse_boot;
use super::interrupt::Interrupts;
use super::{
    ChangeError, Cluster, ClusterError, Host, HostError, InUseError, POLL_INTERVAL, REQUEST_TIMEOUT, boot, prepare,
};
use crate::control::{ChangeOutcome, ChangeRequest, Client, ControlError, Reply, Request};
use crate::digits;
use crate::events::{Event, Sink};
use crate::root_dir::{Allotment, Root};
use crate::settings::Resolved;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Time that a change may take in addition to the boot's time limit: it stops old instances, and a
/// rollback starts them again.
const ROLLBACK_ALLOWANCE: Duration = Duration::from_secs(300);

/// What a change does beside applying the difference between two plans.
#[derive(Default)]
pub(super) struct ChangeOptions {
    /// A component whose instances are restarted in any case.
    pub component: Option<String>,
    /// Nodes that are drained and removed.
    pub removed: Vec<String>,
}

impl Host {
    /// Applies settings to a running cluster. Restarts only the instances whose plans differ, and
    /// those of `component` in any case. If the new instances don't become ready, the old ones are
    /// started again. Returns the restarted instances.
    ///
    /// # Errors
    /// See [`HostError`]. Nothing was stopped, except with [`HostError::Change`].
    pub fn change(
        &self,
        resolved: &Resolved,
        component: Option<&str>,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        let options = ChangeOptions { component: component.map(str::to_owned), removed: Vec::new() };
        self.change_nodes(resolved, &self.allot(&resolved.settings)?, options, sink)
    }

    /// As [`Host::change`], with the nodes of `allotment`.
    pub(super) fn change_nodes(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        options: ChangeOptions,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        self.check(resolved, allotment, &options.removed, sink)?;
        self.submit_change(resolved, allotment, options, sink)
    }

    /// As [`Host::change_nodes`], with settings that [`Host::check`] has accepted.
    pub(super) fn submit_change(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        options: ChangeOptions,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        let settings = &resolved.settings;
        let call = self.call(settings);
        let cluster = Cluster::find(call.clone())?;
        let root = cluster.root();
        if !cluster.is_running() {
            return Err(ClusterError::Stopped(call).into());
        }
        // Excludes a rename, which would move the directory while files are written into it.
        let _lock = cluster.lock_shared()?;
        let tools = self.tools_of(settings, allotment, &[], sink)?;
        let state = cluster.state_in_force()?;
        let running = parse_boot(&state)?;
        let port = running.environment.registry_port;
        if port == 0 && prepare::has_registry(self, settings)? {
            let changes = vec!["the registry's port of the host can't be opened".to_owned()];
            return Err(InUseError::NeedsBoot { call, changes }.into());
        }
        let found = prepare::HostResources { tools: &tools, outside: &running.outside, registry_port: port };
        let (environment, reissued) = prepare::for_boot(self, settings, root, allotment, found, &BTreeSet::new())?;
        for reason in reissued {
            sink.emit(Event::Note { message: format!("created again: {reason}") });
        }
        let publish = settings.publish.clone();
        let inherited = boot::Inherited { api_port: running.api_port, publish, outside: running.outside };
        let (next, instances) = self.prepare_boot(settings, root, environment, inherited, sink)?;
        prepare::write_kubeconfigs(root, &next.environment, &instances, next.api_port)?;
        let boot = serde_json::to_value(&next)
            .map_err(|error| HostError::io("the new state can't be encoded")(error.into()))?;
        let id = digits::random::<16>().map_err(HostError::io("the change gets no random ID"))?;
        let change = ChangeRequest {
            id: digits::hex(&id),
            base: resolved.revision.unwrap_or(state.revision),
            settings: settings.to_toml(),
            allotment: allotment.clone(),
            boot,
            component: options.component,
            removed: options.removed,
        };
        let limit = Duration::from_secs(settings.boot_timeout_s) + ROLLBACK_ALLOWANCE;
        let is_planned = |name: &String| instances.iter().any(|planned| planned.instance == *name);
        let (end, started) = watch_change(root, change, limit, sink)?;
        Err(match end {
            WatchEnd::Finished(ChangeOutcome::Changed) => return Ok(started.into_iter().filter(is_planned).collect()),
            WatchEnd::Interrupted => HostError::Interrupted,
            WatchEnd::Finished(ChangeOutcome::Stale) => InUseError::Changing(call).into(),
            WatchEnd::Finished(ChangeOutcome::Failed { error: why, restored }) => {
                ChangeError::Failed { call, why, restored }.into()
            }
            WatchEnd::Finished(ChangeOutcome::Refused { error: why }) => ChangeError::Refused { call, why }.into(),
            WatchEnd::Finished(ChangeOutcome::Pending) | WatchEnd::Detached => ChangeError::InProgress(call).into(),
            WatchEnd::Finished(ChangeOutcome::Unknown) => ChangeError::Lost(call).into(),
        })
    }
}

/// How the wait for a change ended.
enum WatchEnd {
    Finished(ChangeOutcome),
    /// The change was undone because of Ctrl-C.
    Interrupted,
    /// The user ended the wait, or the time limit was exceeded. The change continues.
    Detached,
}

/// Sends a change and waits for its outcome. The first Ctrl-C requests a rollback, the second ends
/// the wait. Also returns the instances that were started meanwhile.
fn watch_change(
    root: &Root,
    change: ChangeRequest,
    limit: Duration,
    sink: &dyn Sink,
) -> Result<(WatchEnd, Vec<String>), HostError> {
    let interrupts = Interrupts::install().map_err(HostError::io("signals can't be handled"))?;
    let (id, begun) = (change.id.clone(), Instant::now());
    let (changing, records) = Client::connect(root, REQUEST_TIMEOUT)?.change(change, limit)?;
    interrupts.set_change(changing);
    let (mut started, mut outcome) = (Vec::new(), None);
    for record in records {
        let event = record.event.seen_outside(root);
        outcome = match &event {
            Event::Started { instance } => {
                started.push(instance.clone());
                None
            }
            Event::Changed => Some(ChangeOutcome::Changed),
            Event::ChangeStale => Some(ChangeOutcome::Stale),
            Event::ChangeRefused { error } => Some(ChangeOutcome::Refused { error: error.clone() }),
            Event::ChangeFailed { error, restored } => {
                Some(ChangeOutcome::Failed { error: error.clone(), restored: *restored })
            }
            _ => None,
        };
        sink.emit(event);
        if outcome.is_some() {
            break;
        }
    }
    if interrupts.count() > 1 && outcome.is_none() {
        return Ok((WatchEnd::Detached, started));
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => poll_outcome(root, &id, begun + limit)?,
    };
    let is_undone = matches!(&outcome, ChangeOutcome::Failed { restored: true, .. } | ChangeOutcome::Refused { .. });
    Ok((if is_undone && interrupts.any() { WatchEnd::Interrupted } else { WatchEnd::Finished(outcome) }, started))
}

/// The outcome of a change whose connection broke. Polls the cluster until the outcome is known, or
/// the deadline has passed.
fn poll_outcome(root: &Root, id: &str, deadline: Instant) -> Result<ChangeOutcome, ControlError> {
    let request = Request::Outcome { id: id.to_owned() };
    loop {
        match Client::connect(root, REQUEST_TIMEOUT).and_then(|mut client| client.ask(&request)) {
            Ok(Reply::Outcome { outcome: ChangeOutcome::Pending }) if Instant::now() < deadline => {
                std::thread::sleep(POLL_INTERVAL);
            }
            Ok(Reply::Outcome { outcome }) => return Ok(outcome),
            // The cluster ended during the change, or was booted again.
            Ok(_) | Err(ControlError::Silent(_)) => return Ok(ChangeOutcome::Unknown),
            Err(error) => return Err(error),
        }
    }
}
