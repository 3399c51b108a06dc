//! Brings up instances, for a boot or a change: starts each as soon as its needs are met, and runs
//! the host's own steps in parallel.

use super::instance::{Instance, Provision, State};
use super::types::{Action, End, EndCause, Fault, InstanceId, Outcome, Time, Work, WorkId};
use super::{Node, Phase, Reducer};
use crate::events::Event;
use crate::graph::RoleAt;
use kubernix_core::roles;
use std::collections::BTreeSet;
use std::time::Duration;

/// The time between the deadline of work and that of the whole bring-up. Work that ends at its own
/// deadline has a more precise error.
const DEADLINE_GRACE: Duration = Duration::from_secs(1);

/// One of the host's own steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Pending,
    Running(WorkId),
    Done,
}

/// What to do about a pending step.
enum Decision {
    Wait,
    Skip,
    Run(Work),
}

impl Decision {
    fn new(is_needed: bool, is_possible: bool, work: Work) -> Self {
        if !is_needed {
            Self::Skip
        } else if is_possible {
            Self::Run(work)
        } else {
            Self::Wait
        }
    }
}

/// The reason for a bring-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Boot,
    Change,
    /// The rollback of a failed change.
    Rollback,
}

/// A running bring-up.
#[derive(Debug)]
pub(super) struct BringUp {
    /// The instances that have to become ready.
    awaited: BTreeSet<InstanceId>,
    until: Time,
    pause_image: Step,
    default_namespace: Step,
    prune: Step,
}

impl BringUp {
    pub(super) fn new(awaited: BTreeSet<InstanceId>, until: Time, purpose: Purpose) -> Self {
        let default_namespace = if purpose == Purpose::Boot { Step::Pending } else { Step::Done };
        // A change deletes removed objects after its commit, because a rollback needs them.
        let prune = if purpose == Purpose::Change { Step::Done } else { Step::Pending };
        Self { awaited, until, pause_image: Step::Pending, default_namespace, prune }
    }

    /// Its deadline.
    pub(super) fn latest(&self) -> Time {
        self.until + DEADLINE_GRACE
    }

    fn steps(&mut self) -> [(&'static str, &mut Step); 3] {
        [
            ("pause image", &mut self.pause_image),
            ("default service account", &mut self.default_namespace),
            ("removed objects", &mut self.prune),
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
    /// The running bring-up.
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

    /// Whether a failure of this instance is one of the boot or change.
    pub(super) fn is_awaited(&self, id: InstanceId) -> bool {
        self.bring_up().is_some_and(|bring_up| bring_up.awaited.contains(&id))
    }

    /// The time by which an instance has to be ready.
    pub(super) fn deadline_of(&self, id: InstanceId) -> Option<Time> {
        self.bring_up().filter(|bring_up| bring_up.awaited.contains(&id)).map(|bring_up| bring_up.until)
    }

    /// Makes all progress that is possible now.
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
            // Transitions count as well: an instance that never ran stops without an action, but
            // others may wait for it.
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

    fn runtimes(&self) -> impl Iterator<Item = &Instance> {
        let all = self.order.iter().filter_map(|id| self.get(*id)).filter(|one| !one.is_ending());
        all.filter(|one| provides(&one.spec.provides, roles::CRI))
    }

    pub(super) fn runtimes_are_ready(&self) -> bool {
        self.runtimes().all(|one| one.spec.provides.iter().all(|role| self.roles.contains(role)))
    }

    /// The role of the first API server; `None` if the cluster has none.
    pub(super) fn api(&self) -> Option<&RoleAt> {
        let instances = self.order.iter().filter_map(|id| self.get(*id)).filter(|one| !one.is_ending());
        instances.flat_map(|one| &one.spec.provides).find(|role| role.role.as_str() == roles::APISERVER)
    }

    pub(super) fn api_is_ready(&self) -> bool {
        self.api().is_some_and(|role| self.roles.contains(role))
    }

    fn advance_steps(&mut self) {
        let (runtimes_ready, has_runtime) = (self.runtimes_are_ready(), self.runtimes().next().is_some());
        let (api, api_ready) = (self.api().is_some(), self.api_is_ready());
        let Some(bring_up) = self.bring_up() else { return };
        let until = Some(bring_up.until);
        let provisioned =
            bring_up.awaited.iter().all(|id| self.get(*id).is_none_or(|one| one.provision == Provision::Done));
        let mut steps = [bring_up.pause_image, bring_up.default_namespace, bring_up.prune];
        let decisions = [
            Decision::new(has_runtime, runtimes_ready, Work::LoadPauseImage),
            Decision::new(api, api_ready, Work::CreateDefaultNamespace { until }),
            Decision::new(true, provisioned, Work::Prune),
        ];
        for (step, decision) in steps.iter_mut().zip(decisions).filter(|(step, _)| **step == Step::Pending) {
            match decision {
                Decision::Wait => {}
                Decision::Skip => *step = Step::Done,
                Decision::Run(work) => *step = Step::Running(self.begin(work)),
            }
        }
        if let Some(bring_up) = self.bring_up_mut() {
            [bring_up.pause_image, bring_up.default_namespace, bring_up.prune] = steps;
        }
    }

    /// Handles the result of one of the host's steps.
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

    /// Whether all awaited instances are ready and provisioned, and all steps are done.
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

    /// Cancels the steps of the bring-up. The work of its instances belongs to them.
    pub(super) fn cancel_bring_up(&mut self) {
        let works: Vec<WorkId> = self.bring_up().map(|bring_up| bring_up.works().collect()).unwrap_or_default();
        for work in works {
            self.cancel_work(work);
        }
    }

    /// The awaited instances that aren't ready, each with its state.
    fn late(&self) -> Vec<(String, String)> {
        let Some(bring_up) = self.bring_up() else { return Vec::new() };
        let awaited = self.order.iter().filter(|id| bring_up.awaited.contains(id)).filter_map(|id| self.get(*id));
        let late = awaited.filter(|one| !matches!(one.state, State::Ready | State::Off));
        late.map(|one| (one.spec.name.clone(), one.public_state().to_string())).collect()
    }

    /// Fails the boot or change if its deadline has passed.
    pub(super) fn check_bring_up_timeout(&mut self) {
        if self.bring_up().is_none_or(|bring_up| bring_up.latest() > self.now) {
            return;
        }
        let late = self.late();
        let waiting = if late.is_empty() {
            "the Kubernetes API to respond".to_owned()
        } else {
            late.iter().map(|(name, state)| format!("{name} ({state})")).collect::<Vec<_>>().join(", ")
        };
        self.fail_bring_up(None, Fault::timeout(format!("still waiting for {waiting}")));
    }

    /// Fails the boot or change. `instance`: the instance that failed.
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

    /// Stops the cluster if it still boots: its command was interrupted or has exited.
    pub(super) fn abort_boot(&mut self) {
        if matches!(self.phase, Phase::Booting(_)) {
            self.stop_all(End::BootFailed { error: "interrupted".into(), timed_out: false }, EndCause::Boot);
        }
    }
}

fn provides(all: &[RoleAt], role: &str) -> bool {
    all.iter().any(|at| at.role.as_str() == role)
}
