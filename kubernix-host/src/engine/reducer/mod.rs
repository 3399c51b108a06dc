//! The rules of a running cluster as a reducer: an input goes in, the state changes, actions come
//! out.
//!
//! Everything here is synchronous and has neither IO nor a clock. The loop in `engine/run.rs`
//! performs the actions and brings their results back as inputs. Must not know components, files,
//! processes or the Kubernetes API: of an instance it knows only its [`InstanceSpec`].

mod bring_up;
mod change;
mod instance;
mod liveness;
mod requests;
mod stop;
mod supervise;
mod types;

#[cfg(test)]
mod tests;

pub use types::{
    Action, Answer, ChangePlan, End, EndCause, Fault, Input, InstanceId, InstanceSpec, Outcome, ProcessId, ProcessSpec,
    RequestId, RequestKind, StopSignal, Time, Work, WorkId,
};

use super::{ClusterState, InstanceState};
use crate::events::Event;
use crate::graph::RoleAt;
use bring_up::BringUp;
use change::Change;
use instance::{Instance, State};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Where the cluster is in its life.
#[derive(Debug)]
enum Phase {
    Booting(BringUp),
    Running,
    Changing(Box<Change>),
    /// Its end was ordered. What is in here is how the engine's life ends.
    Stopping(End),
    Ended,
}

/// A node with namespaces of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Creating {
        work: WorkId,
        /// Until the next attempt, should this one fail.
        backoff: Duration,
    },
    Running,
    Ending(WorkId),
    /// It couldn't be made; the next attempt is at this time.
    BackingOff {
        at: Time,
        backoff: Duration,
    },
}

/// The state of a cluster and the rules by which it changes.
#[derive(Debug)]
pub struct Reducer {
    now: Time,
    phase: Phase,
    instances: BTreeMap<InstanceId, Instance>,
    /// The instances of the cluster, in boot order. While a change goes on there are others as
    /// well.
    order: Vec<InstanceId>,
    /// Roles that are ready.
    roles: BTreeSet<RoleAt>,
    /// Nodes with namespaces of their own, but for those that aren't there.
    nodes: BTreeMap<String, Node>,
    /// Work that is going on.
    works: BTreeSet<WorkId>,
    next_work: u64,
    /// Counts committed changes.
    revision: u64,
    /// Requests that are served one at a time, in the order in which they came.
    queue: VecDeque<(RequestId, RequestKind)>,
    /// The request of the queue that is being performed beside no change.
    performing: Option<(RequestId, WorkId, RequestKind)>,
    /// A change that was being committed when the cluster's end was ordered.
    committing: Option<(RequestId, WorkId)>,
    /// Work after the boot that nothing waits for.
    restoring_nodes: Option<WorkId>,
    /// Requests for a report, each with the checks that it waits for.
    reports: Vec<(RequestId, BTreeSet<WorkId>)>,
    /// Requests to stop.
    stops: Vec<RequestId>,
    /// How long a boot may take.
    boot_limit: Duration,
    /// Counts transitions of instances.
    transitions: u64,
    actions: Vec<Action>,
}

impl Reducer {
    /// A cluster of these instances that begins to boot. `revision` is that of the state on disk.
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
            stops: Vec::new(),
            boot_limit: limit,
            transitions: 0,
        }
    }

    /// Takes an input at a time that is no earlier than the last one's, and says what is to be
    /// done.
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
            // The cluster that is up isn't the command's to end.
            Input::KillBoot if self.is_booted() => {}
            Input::KillBoot => self.kill(),
            Input::Stop => self.stop_all(End::Ordered, EndCause::Stop),
            Input::Kill => self.kill(),
            Input::KeeperGone => self.exit(End::KeeperGone),
        }
        // Nothing is performed after the exit.
        if !matches!(self.phase, Phase::Ended) {
            self.fire_timers();
            self.advance();
        }
        std::mem::take(&mut self.actions)
    }

    /// When the next input is due at the latest: a [`Input::Tick`] then does.
    pub fn deadline(&self) -> Option<Time> {
        if matches!(self.phase, Phase::Ended) {
            return None;
        }
        // A start whose time has come and that hasn't begun waits for something else than time.
        let is_ahead = |at: Time| at > self.now;
        let mut times: Vec<Time> = Vec::new();
        for instance in self.instances.values() {
            match instance.state {
                State::BackingOff { at } if is_ahead(at) => times.push(at),
                State::Stopping(instance::Stage::Signalled { kill_at: Some(at), .. }) => times.push(at),
                State::Ready | State::Unresponsive if self.checks_liveness(instance) => times.push(instance.next_check),
                _ => {}
            }
            times.extend(self.next_process_check(instance));
            if let instance::Provision::Retry { at, .. } = instance.provision
                && is_ahead(at)
            {
                times.push(at);
            }
        }
        times.extend(self.nodes.values().filter_map(|node| match node {
            Node::BackingOff { at, .. } if is_ahead(*at) => Some(*at),
            _ => None,
        }));
        times.extend(self.bring_up().map(BringUp::latest));
        times.into_iter().min()
    }

    /// The state of the cluster as it is shown.
    pub fn state(&self) -> ClusterState {
        match &self.phase {
            Phase::Booting(_) => ClusterState::Booting,
            Phase::Stopping(_) | Phase::Ended => ClusterState::Stopping,
            Phase::Changing(_) => ClusterState::Changing,
            Phase::Running if self.problems().is_empty() => ClusterState::Running,
            Phase::Running => ClusterState::Degraded,
        }
    }

    /// What keeps the cluster from being as it should be: instances by name, each with the reason.
    pub fn problems(&self) -> Vec<(String, String)> {
        let all = self.order.iter().filter_map(|id| self.instances.get(id)).filter(|one| !one.is_at_rest());
        all.filter(|one| {
            one.public_state() != InstanceState::Ready || matches!(one.provision, instance::Provision::Retry { .. })
        })
        .map(|one| {
            let reason = one.reason.clone().unwrap_or_else(|| one.public_state().to_string());
            (one.spec.name.clone(), reason)
        })
        .collect()
    }

    /// The boot is over.
    pub fn is_booted(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Changing(_))
    }

    /// The revision of the state that is in force.
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

    /// The state of an instance; `None` for one that there isn't any more.
    pub fn instance_state(&self, id: InstanceId) -> Option<InstanceState> {
        self.instances.get(&id).map(Instance::public_state)
    }

    /// Ends everything at once. Why a boot failed is still to be said.
    fn kill(&mut self) {
        let end = match &self.phase {
            Phase::Stopping(end @ End::BootFailed { .. }) => end.clone(),
            _ => End::Ordered,
        };
        self.exit(end);
    }

    /// Ends the life of the engine at once. Every open request gets its answer.
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

    /// Begins work.
    fn begin(&mut self, work: Work) -> WorkId {
        let id = WorkId(self.next_work);
        self.next_work += 1;
        self.works.insert(id);
        self.actions.push(Action::Begin(id, work));
        id
    }

    /// Ends work whose result isn't wanted any more.
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
            // A defect of these rules. The state is kept, so that nothing is started twice.
            log::error!("{}: {:?} can't become {next:?}", instance.spec.name, instance.state);
            debug_assert!(false, "{}: {:?} can't become {next:?}", instance.spec.name, instance.state);
            return;
        }
        instance.state = next;
        self.transitions += 1;
    }

    /// Notes whether the roles of an instance are ready.
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

    /// A piece of work ended.
    fn done(&mut self, work: WorkId, outcome: Outcome) {
        // The result of work that was abandoned may be on its way already.
        if !self.works.remove(&work) {
            return;
        }
        if let Some(name) = self.nodes.iter().find_map(|(name, node)| match node {
            Node::Creating { work: id, .. } | Node::Ending(id) if *id == work => Some(name.clone()),
            _ => None,
        }) {
            return self.node_done(&name, outcome);
        }
        if self.performing.is_some_and(|(_, id, _)| id == work) {
            return self.performed(outcome);
        }
        if let Some((request, _)) = self.committing.take_if(|(_, id)| *id == work) {
            return self.committed_during_stop(request, outcome);
        }
        if let Some(id) = self.owner_of(work) {
            return self.instance_done(id, work, outcome);
        }
        if self.bring_up().is_some_and(|bring_up| bring_up.has(work)) {
            return self.step_done(work, outcome);
        }
        self.change_done(work, outcome);
    }

    /// The instance that a piece of work belongs to.
    fn owner_of(&self, work: WorkId) -> Option<InstanceId> {
        let owns = |one: &Instance| {
            matches!(one.state, State::Preparing(id) | State::Stopping(instance::Stage::Hook(id)) if id == work)
                || one.probing.contains_key(&work)
                || one.check == Some(work)
                || one.checks.iter().any(|checks| checks.work == Some(work))
                || one.provision.work() == Some(work)
        };
        self.instances.iter().find(|(_, one)| owns(one)).map(|(id, _)| *id)
    }

    fn instance_done(&mut self, id: InstanceId, work: WorkId, outcome: Outcome) {
        let Some(instance) = self.get(id) else { return };
        if instance.check == Some(work) {
            return self.checked(id, work, &outcome);
        }
        if instance.checks.iter().any(|checks| checks.work == Some(work)) {
            return self.process_checked(id, work, &outcome);
        }
        if instance.provision.work() == Some(work) {
            return self.provisioned(id, outcome);
        }
        match (instance.state, outcome) {
            (State::Preparing(_), Outcome::Failed(fault)) => self.start_failed(id, fault),
            (State::Preparing(_), _) => self.spawn_all(id),
            (State::Stopping(instance::Stage::Hook(_)), outcome) => self.hook_done(id, outcome),
            (_, outcome) => self.probed(id, work, outcome),
        }
    }

    /// What is due by now.
    fn fire_timers(&mut self) {
        let now = self.now;
        let due: Vec<(InstanceId, State)> = self.instances.iter().map(|(id, one)| (*id, one.state)).collect();
        for (id, state) in due {
            match state {
                State::Stopping(instance::Stage::Signalled { slot, kill_at: Some(at) }) if at <= now => {
                    self.kill_slot(id, slot);
                }
                State::Ready | State::Unresponsive => self.check_if_due(id),
                _ => {}
            }
            self.check_processes_if_due(id);
        }
        self.check_bring_up_timeout();
    }
}
