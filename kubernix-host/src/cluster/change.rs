//! A change of a running cluster: other components in its slots, other binaries, other parameters, other nodes.
//!
//! The command makes the whole state that the cluster is to go over to, sends it, and watches. The cluster's init carries it
//! out and commits it, whatever becomes of the command.

use super::handle::parse_boot;
use super::interrupt::Interrupts;
use super::{ANSWER, Cluster, Host, HostError, PAUSE, prepare, up};
use crate::control::{ChangeOutcome, ChangeRequest, Client, ControlError, Reply, Request};
use crate::digits;
use crate::events::{Event, Sink};
use crate::root::{Allotment, Root};
use crate::settings::Resolved;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How much longer than its boot a change may take: what ran before is stopped, and may have to come back.
const EXTRA: Duration = Duration::from_secs(300);

/// What a change does beside going from plan to plan.
#[derive(Default)]
pub(super) struct Order {
    /// A component whose instances are started anew in any case.
    pub component: Option<String>,
    /// Nodes whose pods move elsewhere before they go.
    pub removed: Vec<String>,
}

impl Host {
    /// Brings a running cluster to what the settings say, without a restart: only instances whose plans differ are stopped
    /// and started, and those of `component` in any case. Where the new ones don't become ready, the old ones come back.
    /// Returns what was started anew, by instance.
    ///
    /// # Errors
    /// See [`HostError`]. Before [`HostError::Change`] nothing was stopped.
    pub fn change(
        &self,
        resolved: &Resolved,
        component: Option<&str>,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        let order = Order { component: component.map(str::to_owned), removed: Vec::new() };
        self.change_to(resolved, &self.allot(&resolved.settings)?, order, sink)
    }

    /// The same, with these nodes.
    pub(super) fn change_to(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        order: Order,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        self.check(resolved, allotment, &order.removed, sink)?;
        self.carry_out(resolved, allotment, order, sink)
    }

    /// The same, with settings that were held against the components before.
    pub(super) fn carry_out(
        &self,
        resolved: &Resolved,
        allotment: &Allotment,
        order: Order,
        sink: &dyn Sink,
    ) -> Result<Vec<String>, HostError> {
        let settings = &resolved.settings;
        let call = self.call(settings);
        let cluster = Cluster::find(call.clone())?;
        let root = cluster.root();
        if !cluster.is_running() {
            return Err(HostError::Stopped(call));
        }
        // A rename in between would move the directory from under what is written into it.
        let _writing = cluster.writing()?;
        let tools = self.tools_of(settings, allotment, &[], sink)?;
        let state = cluster.state_in_force()?;
        let running = parse_boot(&state)?;
        let port = running.environment.registry_port;
        if port == 0 && prepare::has_registry(self, settings)? {
            let changes = vec!["the registry's port of the host can't be opened".to_owned()];
            return Err(HostError::OfBoot { call, changes });
        }
        let found = prepare::Found { tools: &tools, outside: &running.outside, registry_port: port };
        let (environment, reissued) = prepare::booted(self, settings, root, allotment, found, &BTreeSet::new())?;
        for reason in reissued {
            sink.emit(Event::Note { message: format!("made anew: {reason}") });
        }
        let publish = settings.publish.clone();
        let held = up::Held { api_port: running.api_port, publish, outside: running.outside };
        let (next, instances) = self.prepare_boot(settings, root, environment, held, sink)?;
        prepare::write_kubeconfigs(root, &next.environment, &instances, next.api_port)?;
        let boot = serde_json::to_value(&next).map_err(|error| HostError::io("the change")(error.into()))?;
        let id = digits::random::<16>().map_err(HostError::io("no random number for the change"))?;
        let change = ChangeRequest {
            id: digits::hex(&id),
            base: resolved.revision.unwrap_or(state.revision),
            settings: settings.to_toml(),
            allotment: allotment.clone(),
            boot,
            component: order.component,
            removed: order.removed,
        };
        let limit = Duration::from_secs(settings.boot_timeout_s) + EXTRA;
        let is_planned = |name: &String| instances.iter().any(|planned| planned.instance == *name);
        let (outcome, started) = follow(root, change, limit, sink)?;
        match outcome {
            Followed::Over(ChangeOutcome::Changed) => Ok(started.into_iter().filter(is_planned).collect()),
            Followed::Interrupted => Err(HostError::Interrupted),
            Followed::Over(ChangeOutcome::Stale) => Err(HostError::Changing(call)),
            Followed::Over(ChangeOutcome::Failed { error: why, restored }) => {
                Err(HostError::Change { call, why, restored })
            }
            Followed::Over(ChangeOutcome::Refused { error: why }) => Err(HostError::Refused { call, why }),
            Followed::Over(ChangeOutcome::Pending) | Followed::Left => Err(HostError::ChangeGoesOn(call)),
            Followed::Over(ChangeOutcome::Unknown) => Err(HostError::ChangeLost(call)),
        }
    }
}

/// How the wait for a change ended.
enum Followed {
    Over(ChangeOutcome),
    /// It was undone because of Ctrl-C.
    Interrupted,
    /// The user left, or it took too long: it goes on.
    Left,
}

/// Sends a change and waits for its outcome. The first Ctrl-C asks for it to be undone, the second leaves it to the cluster.
/// Returns what was started meanwhile as well.
fn follow(
    root: &Root,
    change: ChangeRequest,
    limit: Duration,
    sink: &dyn Sink,
) -> Result<(Followed, Vec<String>), HostError> {
    let interrupts = Interrupts::take_over().map_err(HostError::io("signals can't be handled"))?;
    let (id, begun) = (change.id.clone(), Instant::now());
    let (changing, records) = Client::connect(root, ANSWER)?.change(change, limit)?;
    interrupts.pass_to_change(changing);
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
        return Ok((Followed::Left, started));
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => ask_for_outcome(root, &id, begun + limit)?,
    };
    let is_undone = matches!(&outcome, ChangeOutcome::Failed { restored: true, .. } | ChangeOutcome::Refused { .. });
    Ok((if is_undone && interrupts.any() { Followed::Interrupted } else { Followed::Over(outcome) }, started))
}

/// The outcome of a change whose line broke, from the cluster itself.
fn ask_for_outcome(root: &Root, id: &str, deadline: Instant) -> Result<ChangeOutcome, ControlError> {
    loop {
        match Client::connect(root, ANSWER).and_then(|mut client| client.ask(&Request::Outcome { id: id.to_owned() })) {
            Ok(Reply::Outcome { outcome: ChangeOutcome::Pending }) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Ok(Reply::Outcome { outcome }) => return Ok(outcome),
            // The cluster ended with the change, or there is another life of it.
            Ok(_) | Err(ControlError::Silent(_)) => return Ok(ChangeOutcome::Unknown),
            Err(error) => return Err(error),
        }
    }
}
