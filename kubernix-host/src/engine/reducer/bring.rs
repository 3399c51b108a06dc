//! The way up, for a boot and for a change: each instance starts as soon as what it needs is there,
//! and the host's own steps run beside it.

use super::instance::{FIRST_PAUSE, Furnish, Instance, State, longer};
use super::types::{Action, End, EndedBy, Fault, InstanceId, Outcome, Time, Work, WorkId};
use super::{Node, Phase, Reducer};
use crate::events::Event;
use crate::graph::RoleAt;
use kubernix_core::roles;
use std::collections::BTreeSet;
use std::time::Duration;

/// Work that has a limit ends by itself at that time and says what it saw. This much later the
/// whole is over, for what can't.
const GRACE: Duration = Duration::from_secs(1);

/// One of the host's own steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Open,
    Going(WorkId),
    Done,
}

/// What instances are brought up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boot,
    Change,
    /// The way back of a change that failed.
    Back,
}

/// The way up of some instances.
#[derive(Debug)]
pub(super) struct Bring {
    /// Those that have to be ready before it is over.
    waited: BTreeSet<InstanceId>,
    until: Time,
    pause_image: Step,
    default_namespace: Step,
    prune: Step,
}

impl Bring {
    pub(super) fn new(waited: BTreeSet<InstanceId>, until: Time, kind: Kind) -> Self {
        let default_namespace = if kind == Kind::Boot { Step::Open } else { Step::Done };
        // What a change takes away is deleted once it is committed: until then it may have to stay.
        let prune = if kind == Kind::Change { Step::Done } else { Step::Open };
        Self { waited, until, pause_image: Step::Open, default_namespace, prune }
    }

    /// When it is over at the latest.
    pub(super) fn latest(&self) -> Time {
        self.until + GRACE
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
            Step::Going(work) => Some(work),
            _ => None,
        })
    }

    pub(super) fn has(&self, work: WorkId) -> bool {
        self.works().any(|id| id == work)
    }
}

impl Reducer {
    /// The way up that is going on.
    pub(super) fn bringing(&self) -> Option<&Bring> {
        match &self.phase {
            Phase::Booting(bring) => Some(bring),
            Phase::Changing(change) => change.bringing(),
            _ => None,
        }
    }

    pub(super) fn bringing_mut(&mut self) -> Option<&mut Bring> {
        match &mut self.phase {
            Phase::Booting(bring) => Some(bring),
            Phase::Changing(change) => change.bringing_mut(),
            _ => None,
        }
    }

    /// Whether a boot or a change fails where this instance does.
    pub(super) fn is_waited_for(&self, id: InstanceId) -> bool {
        self.bringing().is_some_and(|bring| bring.waited.contains(&id))
    }

    /// The time by which an instance has to be up.
    pub(super) fn limit_of(&self, id: InstanceId) -> Option<Time> {
        self.bringing().filter(|bring| bring.waited.contains(&id)).map(|bring| bring.until)
    }

    /// Goes on with whatever can go on now.
    pub(super) fn advance(&mut self) {
        loop {
            let before = (self.actions.len(), self.transitions);
            let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
            for id in &ids {
                self.advance_stop(*id);
                self.advance_start(*id);
                self.advance_furnish(*id);
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
            Some(node) if self.nodes.get(&node) != Some(&Node::Present) => self.want_node(&node),
            _ => self.prepare(id),
        }
    }

    /// Makes a node if nothing is being done about it.
    fn want_node(&mut self, node: &str) {
        let pause = match self.nodes.get(node) {
            None => FIRST_PAUSE,
            Some(Node::BackingOff { at, pause }) if *at <= self.now => longer(*pause),
            Some(_) => return,
        };
        let work = self.begin(Work::MakeNode { node: node.to_owned() });
        self.nodes.insert(node.to_owned(), Node::Making { work, pause });
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
                Node::Present => {
                    let work = self.begin(Work::EndNode { node: node.clone() });
                    self.nodes.insert(node, Node::Ending(work));
                }
                Node::BackingOff { .. } => drop(self.nodes.remove(&node)),
                // One that is being made is ended when it is whole.
                Node::Making { .. } | Node::Ending(_) => {}
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

    fn advance_furnish(&mut self, id: InstanceId) {
        let until = self.limit_of(id);
        let is_in_order = self.order.contains(&id);
        let Some(instance) = self.get(id) else { return };
        if !is_in_order
            || matches!(instance.state, State::Stopping(_) | State::Stopped)
            || matches!(self.phase, Phase::Stopping(_))
        {
            return;
        }
        let (has_builds, has_manifests) = (instance.spec.has_builds, instance.spec.has_manifests);
        let next = match instance.furnish {
            Furnish::Images { objects } if !has_builds => after_images(objects),
            Furnish::Images { objects } if self.runtimes_are_ready() => {
                let work = self.begin(Work::LoadImages { instance: id });
                Furnish::LoadingImages { work, objects }
            }
            Furnish::Objects if !has_manifests => Furnish::Done,
            Furnish::Objects if self.api().is_none() => {
                let fault = Fault::new("the cluster has no API server");
                return self.furnish_failed(id, fault, false, true);
            }
            Furnish::Objects if self.api_is_ready() => {
                Furnish::Applying(self.begin(Work::Apply { instance: id, until }))
            }
            Furnish::Again { at, images, objects } if at <= self.now => {
                if images {
                    Furnish::Images { objects }
                } else {
                    Furnish::Objects
                }
            }
            _ => return,
        };
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.furnish = next;
        }
        // Nothing to load and nothing to apply: both are over in one go.
        self.advance_furnish(id);
    }

    /// Images were loaded or objects applied.
    pub(super) fn furnished(&mut self, id: InstanceId, outcome: Outcome) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let (was_images, objects) = match instance.furnish {
            Furnish::LoadingImages { objects, .. } => (true, objects),
            _ => (false, true),
        };
        match outcome {
            Outcome::Failed(fault) => self.furnish_failed(id, fault, was_images, objects),
            _ => {
                instance.furnish = if was_images { after_images(objects) } else { Furnish::Done };
                if instance.state == State::Ready {
                    instance.reason = None;
                }
            }
        }
    }

    fn furnish_failed(&mut self, id: InstanceId, fault: Fault, images: bool, objects: bool) {
        let (is_waited_for, now) = (self.is_waited_for(id), self.now);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let what = if images { "images" } else { "manifests" };
        let detail = format!("{what} of {} failed: {}", instance.spec.name, fault.detail);
        // Set in any case: an instance that outlives a failed change goes on trying.
        let pause = instance.furnish_pause;
        instance.furnish_pause = longer(pause);
        instance.furnish = Furnish::Again { at: now + pause, images, objects };
        if is_waited_for {
            return self.fail_bring(None, Fault { summary: detail.clone(), detail, ..fault });
        }
        instance.reason = Some(detail.clone());
        self.warn_of_attempt(&detail, pause);
    }

    pub(super) fn stop_furnishing(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let work = instance.furnish.work();
        instance.furnish = Furnish::Done;
        if let Some(work) = work {
            self.drop_work(work);
        }
    }

    fn advance_steps(&mut self) {
        let (runtimes_ready, has_runtime) = (self.runtimes_are_ready(), self.runtimes().next().is_some());
        let (api, api_ready) = (self.api().is_some(), self.api_is_ready());
        let Some(bring) = self.bringing() else { return };
        let until = Some(bring.until);
        let furnished = bring.waited.iter().all(|id| self.get(*id).is_none_or(|one| one.furnish == Furnish::Done));
        let begin = [
            match bring.pause_image {
                Step::Open if !has_runtime => Some(None),
                Step::Open if runtimes_ready => Some(Some(Work::PauseImage)),
                _ => None,
            },
            match bring.default_namespace {
                Step::Open if !api => Some(None),
                Step::Open if api_ready => Some(Some(Work::DefaultNamespace { until })),
                _ => None,
            },
            match bring.prune {
                Step::Open if furnished => Some(Some(Work::Prune)),
                _ => None,
            },
        ];
        let next = begin.map(|work| work.map(|work| work.map_or(Step::Done, |work| Step::Going(self.begin(work)))));
        let Some(bring) = self.bringing_mut() else { return };
        for ((_, step), next) in bring.steps().into_iter().zip(next) {
            if let Some(next) = next {
                *step = next;
            }
        }
    }

    /// One of the host's steps ended.
    pub(super) fn step_done(&mut self, work: WorkId, outcome: Outcome) {
        let Some(bring) = self.bringing_mut() else { return };
        let Some((name, step)) = bring.steps().into_iter().find(|(_, step)| **step == Step::Going(work)) else {
            return;
        };
        *step = Step::Done;
        if let Outcome::Failed(fault) = outcome {
            let detail = format!("{name} failed: {}", fault.detail);
            self.fail_bring(None, Fault { summary: detail.clone(), detail, ..fault });
        }
    }

    /// Whether all that is waited for is there.
    pub(super) fn is_brought(&self) -> bool {
        let Some(bring) = self.bringing() else { return false };
        let is_up = |id: &InstanceId| {
            self.get(*id).is_none_or(|one| {
                matches!(one.state, State::Ready | State::Unresponsive | State::Off) && one.furnish == Furnish::Done
            })
        };
        [bring.pause_image, bring.default_namespace, bring.prune].iter().all(|step| *step == Step::Done)
            && bring.waited.iter().all(is_up)
    }

    fn advance_boot(&mut self) {
        if matches!(self.phase, Phase::Booting(_)) && self.is_brought() {
            self.phase = Phase::Running;
            self.settling = Some(self.begin(Work::SettleNodes));
            self.emit(Event::BootReady);
            self.actions.push(Action::EndYield);
            self.actions.push(Action::Booted);
        }
    }

    /// Ends the work of the way up itself; that of its instances belongs to them.
    pub(super) fn drop_bring(&mut self) {
        let works: Vec<WorkId> = self.bringing().map(|bring| bring.works().collect()).unwrap_or_default();
        for work in works {
            self.drop_work(work);
        }
    }

    /// Instances that are waited for and aren't there.
    fn late(&self) -> Vec<(String, String)> {
        let Some(bring) = self.bringing() else { return Vec::new() };
        let of_order = self.order.iter().filter(|id| bring.waited.contains(id)).filter_map(|id| self.get(*id));
        let late = of_order.filter(|one| !matches!(one.state, State::Ready | State::Off));
        late.map(|one| (one.spec.name.clone(), one.shown().to_string())).collect()
    }

    pub(super) fn bring_timed_out(&mut self) {
        if self.bringing().is_none_or(|bring| bring.latest() > self.now) {
            return;
        }
        let late = self.late();
        let waiting = if late.is_empty() {
            "the Kubernetes API to answer".to_owned()
        } else {
            late.iter().map(|(name, state)| format!("{name} ({state})")).collect::<Vec<_>>().join(", ")
        };
        self.fail_bring(None, Fault::late(format!("still waiting for {waiting}")));
    }

    /// The boot or the change comes to nothing. `instance` is the one that failed, if it was one.
    pub(super) fn fail_bring(&mut self, instance: Option<String>, fault: Fault) {
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
        let error = if fault.late { format!("not ready after {limit} s: {late}\n{text}") } else { text };
        self.stop_all(End::BootFailed { error, timed_out: fault.late }, EndedBy::Boot);
    }

    /// The command that boots was interrupted or went away.
    pub(super) fn abandon_boot(&mut self) {
        if matches!(self.phase, Phase::Booting(_)) {
            self.stop_all(End::BootFailed { error: "interrupted".into(), timed_out: false }, EndedBy::Boot);
        }
    }
}

fn after_images(objects: bool) -> Furnish {
    if objects { Furnish::Objects } else { Furnish::Done }
}

fn provides(all: &[RoleAt], role: &str) -> bool {
    all.iter().any(|at| at.role.as_str() == role)
}
