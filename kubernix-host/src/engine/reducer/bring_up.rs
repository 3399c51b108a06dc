//! The way up, for a boot and for a change: each instance starts as soon as what it needs is there,
//! and the host's own steps run beside it.

use super::instance::{Instance, MIN_BACKOFF, Provision, State, next_backoff};
use super::types::{Action, End, EndCause, Fault, InstanceId, Outcome, Time, Work, WorkId};
use super::{Node, Phase, Reducer};
use crate::events::Event;
use crate::graph::RoleAt;
use kubernix_core::roles;
use std::collections::BTreeSet;
use std::time::Duration;

/// Work that has a limit ends by itself at that time and says what it saw. This much later the
/// whole is over, for what can't.
const DEADLINE_GRACE: Duration = Duration::from_secs(1);

/// One of the host's own steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Pending,
    Running(WorkId),
    Done,
}

/// What instances are brought up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Boot,
    Change,
    /// The way back of a change that failed.
    Rollback,
}

/// The way up of some instances.
#[derive(Debug)]
pub(super) struct BringUp {
    /// Those that have to be ready before it is over.
    awaited: BTreeSet<InstanceId>,
    until: Time,
    pause_image: Step,
    default_namespace: Step,
    prune: Step,
}

impl BringUp {
    pub(super) fn new(awaited: BTreeSet<InstanceId>, until: Time, kind: Purpose) -> Self {
        let default_namespace = if kind == Purpose::Boot { Step::Pending } else { Step::Done };
        // What a change takes away is deleted once it is committed: until then it may have to stay.
        let prune = if kind == Purpose::Change { Step::Done } else { Step::Pending };
        Self { awaited, until, pause_image: Step::Pending, default_namespace, prune }
    }

    /// When it is over at the latest.
    pub(super) fn latest(&self) -> Time {
        self.until + DEADLINE_GRACE
    }

    fn steps(&mut self) -> [(&'static str, &mut Step); 3] {
        [
            ("pause image", &mut self.pause_image),
            ("default service account", &mut self.default_namespace),
            ("objects that went", &mut self.prune),
        ]
    }

    fn works(&self) -> impl Iterator<Item = WorkId> {
        [self.pause_image, self.default_namespace, self.prune].into_iter().filter_map(|step| match step {
            Step::Running(work) => Some(work),
            _ => None,
        })
    }

    pub(super) fn has(&self, work: WorkId) -> bool {
        self.works().any(|id| id == work)
    }
}

impl Reducer {
    /// The way up that is going on.
    pub(super) fn bring_up(&self) -> Option<&BringUp> {
        match &self.phase {
            Phase::Booting(bring_up) => Some(bring_up),
            Phase::Changing(change) => change.bring_up(),
            _ => None,
        }
    }

    pub(super) fn bring_up_mut(&mut self) -> Option<&mut BringUp> {
        match &mut self.phase {
            Phase::Booting(bring_up) => Some(bring_up),
            Phase::Changing(change) => change.bring_up_mut(),
            _ => None,
        }
    }

    /// Whether a boot or a change fails where this instance does.
    pub(super) fn is_awaited(&self, id: InstanceId) -> bool {
        self.bring_up().is_some_and(|bring_up| bring_up.awaited.contains(&id))
    }

    /// The time by which an instance has to be up.
    pub(super) fn deadline_of(&self, id: InstanceId) -> Option<Time> {
        self.bring_up().filter(|bring_up| bring_up.awaited.contains(&id)).map(|bring_up| bring_up.until)
    }

    /// Goes on with whatever can go on now.
    pub(super) fn advance(&mut self) {
        loop {
            let before = (self.actions.len(), self.transitions);
            let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
            for id in &ids {
                self.advance_stop(*id);
                self.advance_start(*id);
                self.advance_provision(*id);
            }
            self.advance_nodes();
            self.advance_steps();
            self.advance_boot();
            self.advance_change();
            self.advance_queue();
            self.advance_end();
            // An instance that never ran ends without an action, and others wait for its end.
            if (self.actions.len(), self.transitions) == before || matches!(self.phase, Phase::Ended) {
                return;
            }
        }
    }

    fn advance_start(&mut self, id: InstanceId) {
        let Some(instance) = self.get(id) else { return };
        let is_due = match instance.state {
            State::Waiting => instance.spec.waits.iter().all(|role| self.roles.contains(role)),
            State::BackingOff { at } => at <= self.now,
            _ => false,
        };
        if !is_due || matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        match instance.spec.own_node.clone() {
            Some(node) if self.nodes.get(&node) != Some(&Node::Running) => self.request_node(&node),
            _ => self.prepare(id),
        }
    }

    /// Makes a node if nothing is being done about it.
    fn request_node(&mut self, node: &str) {
        let backoff = match self.nodes.get(node) {
            None => MIN_BACKOFF,
            Some(Node::BackingOff { at, backoff }) if *at <= self.now => next_backoff(*backoff),
            Some(_) => return,
        };
        let work = self.begin(Work::CreateNode { node: node.to_owned() });
        self.nodes.insert(node.to_owned(), Node::Creating { work, backoff });
    }

    /// Ends nodes on which nothing is to run any more.
    fn advance_nodes(&mut self) {
        if matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        let is_wanted = |name: &String| {
            self.instances.values().any(|one| one.spec.own_node.as_ref() == Some(name) && !one.is_at_rest())
        };
        let surplus: Vec<(String, Node)> =
            self.nodes.iter().filter(|(name, _)| !is_wanted(name)).map(|(name, node)| (name.clone(), *node)).collect();
        for (node, state) in surplus {
            match state {
                Node::Running => {
                    let work = self.begin(Work::EndNode { node: node.clone() });
                    self.nodes.insert(node, Node::Ending(work));
                }
                Node::BackingOff { .. } => drop(self.nodes.remove(&node)),
                // One that is being made is ended when it is whole.
                Node::Creating { .. } | Node::Ending(_) => {}
            }
        }
    }

    /// Whether nodes are being ended, or made without need.
    pub(super) fn has_surplus_nodes(&self) -> bool {
        self.nodes.iter().any(|(name, node)| {
            matches!(node, Node::Ending(_))
                || !self.instances.values().any(|one| one.spec.own_node.as_ref() == Some(name) && !one.is_at_rest())
        })
    }

    fn runtimes(&self) -> impl Iterator<Item = &Instance> {
        let all = self.order.iter().filter_map(|id| self.get(*id)).filter(|one| !one.is_ending());
        all.filter(|one| provides(&one.spec.provides, roles::CRI))
    }

    fn runtimes_are_ready(&self) -> bool {
        self.runtimes().all(|one| one.spec.provides.iter().all(|role| self.roles.contains(role)))
    }

    /// The role of the first API server; `None` where the cluster has none.
    fn api(&self) -> Option<&RoleAt> {
        let instances = self.order.iter().filter_map(|id| self.get(*id)).filter(|one| !one.is_ending());
        instances.flat_map(|one| &one.spec.provides).find(|role| role.role.as_str() == roles::APISERVER)
    }

    fn api_is_ready(&self) -> bool {
        self.api().is_some_and(|role| self.roles.contains(role))
    }

    fn advance_provision(&mut self, id: InstanceId) {
        let until = self.deadline_of(id);
        let is_in_order = self.order.contains(&id);
        let Some(instance) = self.get(id) else { return };
        if !is_in_order
            || matches!(instance.state, State::Stopping(_) | State::Stopped)
            || matches!(self.phase, Phase::Stopping(_))
        {
            return;
        }
        let (has_builds, has_manifests) = (instance.spec.has_builds, instance.spec.has_manifests);
        let next = match instance.provision {
            Provision::Images { objects } if !has_builds => after_images(objects),
            Provision::Images { objects } if self.runtimes_are_ready() => {
                let work = self.begin(Work::LoadImages { instance: id });
                Provision::LoadingImages { work, objects }
            }
            Provision::Objects if !has_manifests => Provision::Done,
            Provision::Objects if self.api().is_none() => {
                let fault = Fault::new("the cluster has no API server");
                return self.provision_failed(id, fault, false, true);
            }
            Provision::Objects if self.api_is_ready() => {
                Provision::Applying(self.begin(Work::Apply { instance: id, until }))
            }
            Provision::Retry { at, images, objects } if at <= self.now => {
                if images {
                    Provision::Images { objects }
                } else {
                    Provision::Objects
                }
            }
            _ => return,
        };
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.provision = next;
        }
        // Nothing to load and nothing to apply: both are over in one go.
        self.advance_provision(id);
    }

    /// Images were loaded or objects applied.
    pub(super) fn provisioned(&mut self, id: InstanceId, outcome: Outcome) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let (was_images, objects) = match instance.provision {
            Provision::LoadingImages { objects, .. } => (true, objects),
            _ => (false, true),
        };
        match outcome {
            Outcome::Failed(fault) => self.provision_failed(id, fault, was_images, objects),
            _ => {
                instance.provision = if was_images { after_images(objects) } else { Provision::Done };
                if instance.state == State::Ready {
                    instance.reason = None;
                }
            }
        }
    }

    fn provision_failed(&mut self, id: InstanceId, fault: Fault, images: bool, objects: bool) {
        let (is_awaited, now) = (self.is_awaited(id), self.now);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let what = if images { "images" } else { "manifests" };
        let detail = format!("{what} of {} failed: {}", instance.spec.name, fault.detail);
        // Set in any case: an instance that outlives a failed change goes on trying.
        let backoff = instance.provision_backoff;
        instance.provision_backoff = next_backoff(backoff);
        instance.provision = Provision::Retry { at: now + backoff, images, objects };
        if is_awaited {
            return self.fail_bring_up(None, Fault { summary: detail.clone(), detail, ..fault });
        }
        instance.reason = Some(detail.clone());
        self.warn_of_retry(&detail, backoff);
    }

    pub(super) fn cancel_provision(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let work = instance.provision.work();
        instance.provision = Provision::Done;
        if let Some(work) = work {
            self.cancel_work(work);
        }
    }

    fn advance_steps(&mut self) {
        let (runtimes_ready, has_runtime) = (self.runtimes_are_ready(), self.runtimes().next().is_some());
        let (api, api_ready) = (self.api().is_some(), self.api_is_ready());
        let Some(bring_up) = self.bring_up() else { return };
        let until = Some(bring_up.until);
        let provisioned =
            bring_up.awaited.iter().all(|id| self.get(*id).is_none_or(|one| one.provision == Provision::Done));
        let begin = [
            match bring_up.pause_image {
                Step::Pending if !has_runtime => Some(None),
                Step::Pending if runtimes_ready => Some(Some(Work::LoadPauseImage)),
                _ => None,
            },
            match bring_up.default_namespace {
                Step::Pending if !api => Some(None),
                Step::Pending if api_ready => Some(Some(Work::CreateDefaultNamespace { until })),
                _ => None,
            },
            match bring_up.prune {
                Step::Pending if provisioned => Some(Some(Work::Prune)),
                _ => None,
            },
        ];
        let next = begin.map(|work| work.map(|work| work.map_or(Step::Done, |work| Step::Running(self.begin(work)))));
        let Some(bring_up) = self.bring_up_mut() else { return };
        for ((_, step), next) in bring_up.steps().into_iter().zip(next) {
            if let Some(next) = next {
                *step = next;
            }
        }
    }

    /// One of the host's steps ended.
    pub(super) fn step_done(&mut self, work: WorkId, outcome: Outcome) {
        let Some(bring_up) = self.bring_up_mut() else { return };
        let Some((name, step)) = bring_up.steps().into_iter().find(|(_, step)| **step == Step::Running(work)) else {
            return;
        };
        *step = Step::Done;
        if let Outcome::Failed(fault) = outcome {
            let detail = format!("{name} failed: {}", fault.detail);
            self.fail_bring_up(None, Fault { summary: detail.clone(), detail, ..fault });
        }
    }

    /// Whether all that is waited for is there.
    pub(super) fn is_bring_up_complete(&self) -> bool {
        let Some(bring_up) = self.bring_up() else { return false };
        let is_up = |id: &InstanceId| {
            self.get(*id).is_none_or(|one| {
                matches!(one.state, State::Ready | State::Unresponsive | State::Off) && one.provision == Provision::Done
            })
        };
        [bring_up.pause_image, bring_up.default_namespace, bring_up.prune].iter().all(|step| *step == Step::Done)
            && bring_up.awaited.iter().all(is_up)
    }

    fn advance_boot(&mut self) {
        if matches!(self.phase, Phase::Booting(_)) && self.is_bring_up_complete() {
            self.phase = Phase::Running;
            self.restoring_nodes = Some(self.begin(Work::RestoreNodes));
            self.emit(Event::BootReady);
            self.actions.push(Action::RestorePriorities);
            self.actions.push(Action::Booted);
        }
    }

    /// Ends the work of the way up itself; that of its instances belongs to them.
    pub(super) fn cancel_bring_up(&mut self) {
        let works: Vec<WorkId> = self.bring_up().map(|bring_up| bring_up.works().collect()).unwrap_or_default();
        for work in works {
            self.cancel_work(work);
        }
    }

    /// Instances that are waited for and aren't there.
    fn late(&self) -> Vec<(String, String)> {
        let Some(bring_up) = self.bring_up() else { return Vec::new() };
        let of_order = self.order.iter().filter(|id| bring_up.awaited.contains(id)).filter_map(|id| self.get(*id));
        let late = of_order.filter(|one| !matches!(one.state, State::Ready | State::Off));
        late.map(|one| (one.spec.name.clone(), one.public_state().to_string())).collect()
    }

    pub(super) fn check_bring_up_timeout(&mut self) {
        if self.bring_up().is_none_or(|bring_up| bring_up.latest() > self.now) {
            return;
        }
        let late = self.late();
        let waiting = if late.is_empty() {
            "the Kubernetes API to answer".to_owned()
        } else {
            late.iter().map(|(name, state)| format!("{name} ({state})")).collect::<Vec<_>>().join(", ")
        };
        self.fail_bring_up(None, Fault::timeout(format!("still waiting for {waiting}")));
    }

    /// The boot or the change comes to nothing. `instance` is the one that failed, if it was one.
    pub(super) fn fail_bring_up(&mut self, instance: Option<String>, fault: Fault) {
        let late = self.late().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let (summary, text) = match &instance {
            Some(name) => (
                format!("{name} failed to start: {}", fault.summary),
                format!("{name} failed to start: {}", fault.detail),
            ),
            None => (fault.summary.clone(), fault.detail.clone()),
        };
        if let Some(instance) = instance {
            self.emit(Event::Failed { instance, error: summary.clone() });
        }
        if !matches!(self.phase, Phase::Booting(_)) {
            return self.change_failed(Fault { summary, detail: text, ..fault });
        }
        let limit = self.boot_limit.as_secs();
        let error = if fault.timed_out { format!("not ready after {limit} s: {late}\n{text}") } else { text };
        self.stop_all(End::BootFailed { error, timed_out: fault.timed_out }, EndCause::Boot);
    }

    /// The command that boots was interrupted or went away.
    pub(super) fn abort_boot(&mut self) {
        if matches!(self.phase, Phase::Booting(_)) {
            self.stop_all(End::BootFailed { error: "interrupted".into(), timed_out: false }, EndCause::Boot);
        }
    }
}

fn after_images(objects: bool) -> Provision {
    if objects { Provision::Objects } else { Provision::Done }
}

fn provides(all: &[RoleAt], role: &str) -> bool {
    all.iter().any(|at| at.role.as_str() == role)
}
