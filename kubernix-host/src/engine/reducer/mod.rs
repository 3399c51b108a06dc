//! The reducer: the state machine of a running cluster. It takes an input, changes its state, and
//! returns actions.
//!
//! Everything here is synchronous, without IO and without a clock. The event loop in
//! `engine/run.rs` executes the actions and returns their results as inputs.
//!
//! Must not know: components, files, processes, the Kubernetes API. It knows an instance only by
//! its [`InstanceSpec`].

mod bring_up;
mod change;
mod dispatch;
mod instance;
mod liveness;
mod nodes;
mod provision;
mod requests;
mod rollback;
mod spec;
mod stop;
mod supervise;
mod timers;
mod types;

#[cfg(test)]
mod tests;

pub use spec::{ChangePlan, InstanceSpec, ProcessSpec};
pub use types::{
    Action, Answer, End, EndCause, Fault, Input, InstanceId, Outcome, ProcessId, RequestId, RequestKind, StopSignal,
    Time, Work, WorkId,
};

use super::{ClusterState, InstanceState};
use crate::events::Event;
use crate::graph::RoleAt;
use bring_up::BringUp;
use change::Change;
use instance::{Instance, Provision, State};
use nodes::Node;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The phase of the cluster.
#[derive(Debug)]
enum Phase {
    Booting(BringUp),
    Running,
    Changing(Box<Change>),
    /// Instances are being stopped. The engine then ends with this.
    Stopping(End),
    Ended,
}

/// The state machine of a cluster.
#[derive(Debug)]
pub struct Reducer {
    now: Time,
    phase: Phase,
    instances: BTreeMap<InstanceId, Instance>,
    /// The current instances, in boot order. During a change, `instances` has others as well.
    order: Vec<InstanceId>,
    /// Roles that are ready.
    roles: BTreeSet<RoleAt>,
    /// The nodes that have their own namespaces. A node without an entry doesn't exist.
    nodes: BTreeMap<String, Node>,
    /// Running work.
    works: BTreeSet<WorkId>,
    next_work: u64,
    /// Counts committed states.
    revision: u64,
    /// Requests that are served one at a time, in the order of their arrival.
    queue: VecDeque<(RequestId, RequestKind)>,
    /// The request of the queue that is being performed, if it isn't a change.
    performing: Option<(RequestId, WorkId, RequestKind)>,
    /// A change that was being committed when the cluster began to stop.
    committing: Option<(RequestId, WorkId)>,
    /// The work that restores nodes after the boot. Nothing waits for it.
    restoring_nodes: Option<WorkId>,
    /// Requests for a report, each with the checks that it waits for.
    reports: Vec<(RequestId, BTreeSet<WorkId>)>,
    /// Requests to stop the cluster.
    stop_requests: Vec<RequestId>,
    /// The time limit of the boot.
    boot_limit: Duration,
    /// Counts transitions of instances.
    transitions: u64,
    actions: Vec<Action>,
}

impl Reducer {
    /// A cluster that begins to boot these instances. `revision` is that of the state on disk.
    pub fn boot(instances: Vec<(InstanceId, InstanceSpec)>, limit: Duration, revision: u64) -> Self {
        let order: Vec<InstanceId> = instances.iter().map(|(id, _)| *id).collect();
        let awaited: BTreeSet<InstanceId> =
            instances.iter().filter(|(_, spec)| !spec.background).map(|(id, _)| *id).collect();
        let instances = instances.into_iter().map(|(id, spec)| (id, Instance::new(spec))).collect();
        Self {
            now: Time::default(),
            phase: Phase::Booting(BringUp::new(awaited, Time::default() + limit, bring_up::Purpose::Boot)),
            instances,
            actions: vec![Action::Order(order.clone()), Action::BringUp],
            order,
            roles: BTreeSet::new(),
            nodes: BTreeMap::new(),
            works: BTreeSet::new(),
            next_work: 0,
            revision,
            queue: VecDeque::new(),
            performing: None,
            restoring_nodes: None,
            committing: None,
            reports: Vec::new(),
            stop_requests: Vec::new(),
            boot_limit: limit,
            transitions: 0,
        }
    }

    /// Handles an input and returns the actions to execute. `now` must not be earlier than for the
    /// previous input.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Action> {
        self.now = now.max(self.now);
        if matches!(self.phase, Phase::Ended) {
            self.reject_late(&input);
            return std::mem::take(&mut self.actions);
        }
        match input {
            Input::Tick => {}
            Input::Spawned(process) => self.spawned(process),
            Input::SpawnFailed(process, fault) => self.spawn_failed(process, fault),
            Input::Ended { process, status, success, log } => self.ended(process, status, success, &log),
            Input::Done(work, outcome) => self.done(work, outcome),
            Input::NodeEnded(node) => self.node_ended(&node),
            Input::Request(request, kind) => self.request(request, kind),
            Input::Cancel(request) => self.cancel(request),
            Input::AbortBoot => self.abort_boot(),
            // The boot was complete already.
            Input::KillBoot if self.is_booted() => {}
            Input::KillBoot => self.kill(),
            Input::Stop => self.stop_all(End::Ordered, EndCause::Stop),
            Input::Kill => self.kill(),
            Input::KeeperGone => self.exit(End::KeeperGone),
        }
        // No action may follow the exit.
        if !matches!(self.phase, Phase::Ended) {
            self.fire_timers();
            self.advance();
        }
        std::mem::take(&mut self.actions)
    }

    /// The public state of the cluster.
    pub fn state(&self) -> ClusterState {
        match &self.phase {
            Phase::Booting(_) => ClusterState::Booting,
            Phase::Stopping(_) | Phase::Ended => ClusterState::Stopping,
            Phase::Changing(_) => ClusterState::Changing,
            Phase::Running if self.problems().is_empty() => ClusterState::Running,
            Phase::Running => ClusterState::Degraded,
        }
    }

    /// The instances that aren't ready or not provisioned, by name, each with the reason.
    pub fn problems(&self) -> Vec<(String, String)> {
        let all = self.order.iter().filter_map(|id| self.instances.get(id)).filter(|one| !one.is_at_rest());
        all.filter(|one| one.public_state() != InstanceState::Ready || matches!(one.provision, Provision::Retry { .. }))
            .map(|one| {
                let reason = one.reason.clone().unwrap_or_else(|| one.public_state().to_string());
                (one.spec.name.clone(), reason)
            })
            .collect()
    }

    /// Whether the boot is complete.
    pub fn is_booted(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Changing(_))
    }

    /// The revision of the committed state.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The instances in boot order, each with its state, its restarts and the reason for its state.
    pub fn instances(&self) -> impl Iterator<Item = (InstanceId, InstanceState, u32, Option<&str>)> {
        self.order.iter().filter_map(|id| {
            let one = self.instances.get(id)?;
            Some((*id, one.public_state(), one.restarts, one.reason.as_deref()))
        })
    }

    /// The public state of an instance; `None` if it was removed.
    pub fn instance_state(&self, id: InstanceId) -> Option<InstanceState> {
        self.instances.get(&id).map(Instance::public_state)
    }

    /// Ends the engine at once. If the boot had failed, that is still reported.
    fn kill(&mut self) {
        let end = match &self.phase {
            Phase::Stopping(end @ End::BootFailed { .. }) => end.clone(),
            _ => End::Ordered,
        };
        self.exit(end);
    }

    /// Ends the engine at once, after answering every open request.
    fn exit(&mut self, end: End) {
        self.answer_all();
        for work in std::mem::take(&mut self.works) {
            self.actions.push(Action::Abandon(work));
        }
        self.phase = Phase::Ended;
        self.actions.push(Action::Exit(end));
    }

    fn emit(&mut self, event: Event) {
        self.actions.push(Action::Emit(event));
    }

    fn warn(&mut self, message: String) {
        self.emit(Event::Warning { message });
    }

    /// Starts work.
    fn begin(&mut self, work: Work) -> WorkId {
        let id = WorkId(self.next_work);
        self.next_work += 1;
        self.works.insert(id);
        self.actions.push(Action::Begin(id, work));
        id
    }

    /// Cancels work whose result isn't needed any more.
    fn cancel_work(&mut self, work: WorkId) {
        if self.works.remove(&work) {
            self.actions.push(Action::Abandon(work));
        }
    }

    fn get(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(&id)
    }

    /// Moves an instance to another state.
    fn set_state(&mut self, id: InstanceId, next: State) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        if !instance.state.may_become(next) {
            // A bug of the reducer. The state is kept, so that no process is started twice.
            log::error!("{}: {:?} can't become {next:?}", instance.spec.name, instance.state);
            debug_assert!(false, "{}: {:?} can't become {next:?}", instance.spec.name, instance.state);
            return;
        }
        instance.state = next;
        self.transitions += 1;
    }

    /// Sets whether a role of an instance is ready.
    fn set_role(&mut self, id: InstanceId, role: &RoleAt, ready: bool) {
        let is_news = if ready { self.roles.insert(role.clone()) } else { self.roles.remove(role) };
        if !is_news {
            return;
        }
        self.actions.push(Action::Role(role.clone(), ready));
        if ready && let Some(instance) = self.get(id) {
            let event = Event::RoleReady { instance: instance.spec.name.clone(), role: role.role.to_string() };
            self.emit(event);
        }
    }

    fn clear_roles(&mut self, id: InstanceId) {
        let roles = self.get(id).map(|one| one.spec.provides.clone()).unwrap_or_default();
        for role in roles {
            self.set_role(id, &role, false);
        }
    }
}
