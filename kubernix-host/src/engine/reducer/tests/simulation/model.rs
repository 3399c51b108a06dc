//! The model of a history: executes the reducer's actions, with random results and delays.

use super::cluster::{self, Instances};
use super::history::{History, Incident, Step};
use super::tally::Tally;
use crate::control::Reply;
use crate::engine::reducer::tests::spec::transient;
use crate::engine::reducer::tests::world::{ended, show_answer};
use crate::engine::reducer::{
    Action, Answer, ChangePlan, End, Fault, Input, InstanceId, InstanceSpec, Outcome, ProcessId, Reducer, RequestId,
    StopSignal, Time, Work, WorkId,
};
use crate::events::Event;
use fastrand::Rng;
use kubernix_core::Restart;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The time in which a cluster recovers without faults: two maximal backoffs, and the time limits
/// of a change and its rollback.
const RECOVERY_MS: u64 = 240_000;
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const MAX_ACTIONS: usize = 400;
const MAX_INPUTS: usize = 5_000;

/// A scheduled event.
#[derive(Debug, Clone)]
pub(super) enum Scheduled {
    Step(Incident),
    Done(WorkId, Outcome),
    /// An attempt of a probe.
    RunProbe(WorkId),
    /// The rename of a commit takes effect.
    Write(WorkId),
    Spawn(ProcessId, Result<(), Fault>),
    End(ProcessId, bool),
    /// The end of all faults.
    Healthy,
}

/// The committed state.
#[derive(Debug)]
pub(super) struct Disk {
    pub revision: u64,
    pub instances: Instances,
}

pub(super) struct Model {
    pub reducer: Reducer,
    seed: u64,
    faults: super::history::FaultPeriod,
    now: u64,
    specs: BTreeMap<InstanceId, InstanceSpec>,
    pub works: BTreeMap<WorkId, Work>,
    pub spawning: BTreeSet<ProcessId>,
    pub running: BTreeSet<ProcessId>,
    pub(super) hung: BTreeSet<ProcessId>,
    /// Hung processes with a pending stop signal.
    pub(super) signalled: BTreeSet<ProcessId>,
    pub nodes: BTreeSet<String>,
    scheduled: BTreeMap<(u64, u64), Scheduled>,
    sequence: u64,
    /// The number of attempts of each action, so that its random results don't depend on others.
    attempts: BTreeMap<u64, u64>,
    pub disk: Disk,
    pub(super) plans: BTreeMap<RequestId, (u64, Option<ChangePlan>)>,
    pub(super) copies: BTreeSet<RequestId>,
    next_instance: u32,
    /// The number of answers to each request.
    pub answers: BTreeMap<RequestId, u32>,
    pub exit: Option<End>,
    pub is_end_ordered: bool,
    traced: bool,
    pub trace: Vec<String>,
    tally: Tally,
}

impl Model {
    pub(super) fn new(history: &History, traced: bool) -> Self {
        let instances: Instances = (0..).map(InstanceId).zip(history.instances.clone()).collect();
        let mut model = Self {
            reducer: Reducer::boot(instances.clone(), BOOT_LIMIT, 1),
            seed: history.seed,
            faults: history.faults,
            now: 0,
            specs: instances.iter().cloned().collect(),
            works: BTreeMap::new(),
            spawning: BTreeSet::new(),
            running: BTreeSet::new(),
            hung: BTreeSet::new(),
            signalled: BTreeSet::new(),
            nodes: BTreeSet::new(),
            scheduled: BTreeMap::new(),
            sequence: 0,
            attempts: BTreeMap::new(),
            disk: Disk { revision: 1, instances },
            plans: BTreeMap::new(),
            copies: BTreeSet::new(),
            next_instance: 100,
            answers: BTreeMap::new(),
            exit: None,
            is_end_ordered: false,
            traced,
            trace: Vec::new(),
            tally: Tally::default(),
        };
        for Step { at, incident } in &history.steps {
            model.at(*at, Scheduled::Step(*incident));
        }
        model.at(history.healthy_from(), Scheduled::Healthy);
        model
    }

    /// Runs to the exit, or until the cluster was healthy for long enough.
    pub(super) fn play(&mut self, history: &History) -> Result<Tally, String> {
        let end = history.healthy_from() + RECOVERY_MS;
        self.feed(Input::Tick)?;
        let (mut inputs, mut idle_rounds) = (0, 0);
        while self.exit.is_none() {
            let next = self.scheduled.first_key_value().map(|((at, _), _)| *at);
            let due = self.reducer.deadline().map(|at| at.0);
            let Some(at) = next.into_iter().chain(due).min().filter(|at| *at <= end) else { break };
            idle_rounds = if at > self.now { 0 } else { idle_rounds + 1 };
            self.now = at.max(self.now);
            if next.is_some_and(|next| next <= self.now) {
                idle_rounds = 0;
                let (_, scheduled) = self.scheduled.pop_first().expect("there is one");
                self.handle(scheduled)?;
            } else {
                self.feed(Input::Tick)?;
            }
            inputs += 1;
            if idle_rounds > 3 || inputs > MAX_INPUTS {
                return Err(format!("busy loop at {}: {inputs} inputs, deadline {due:?}", self.now));
            }
            if self.now > history.healthy_from() && self.scheduled.is_empty() && self.is_healthy() {
                break;
            }
        }
        self.check_end()?;
        Ok(std::mem::take(&mut self.tally))
    }

    pub(super) fn at(&mut self, at: u64, scheduled: Scheduled) {
        self.sequence += 1;
        self.scheduled.insert((at, self.sequence), scheduled);
    }

    pub(super) fn after(&mut self, delay: u64, scheduled: Scheduled) {
        self.at(self.now + delay, scheduled);
    }

    /// The random numbers of an action's next attempt. They depend only on the seed, the action and
    /// the number of the attempt.
    fn rng_of(&mut self, action: impl Hash) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, action).hash(&mut hasher);
        let key = hasher.finish();
        let attempts = self.attempts.entry(key).or_default();
        *attempts += 1;
        Rng::with_seed(key.wrapping_add(*attempts))
    }

    fn is_faulty(&self) -> bool {
        (self.faults.from..self.faults.until).contains(&self.now)
    }

    fn fails(&self, rng: &mut Rng) -> bool {
        self.is_faulty() && rng.u64(..1000) < self.faults.rate
    }

    fn delay(&self, rng: &mut Rng) -> u64 {
        if self.is_faulty() && rng.u64(..1000) < self.faults.rate {
            rng.u64(..20_000)
        } else if rng.bool() {
            0
        } else {
            rng.u64(..200)
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.works.values().any(|work| matches!(work, Work::Commit { .. } | Work::Perform { .. }))
    }

    pub(super) fn feed(&mut self, input: Input) -> Result<(), String> {
        if self.traced {
            self.trace.push(format!("{} {input:?}", self.now));
        }
        if let Input::Done(work, _) = &input {
            self.works.remove(work);
        }
        let actions = self.reducer.handle(Time(self.now), input);
        if actions.len() > MAX_ACTIONS {
            return Err(format!("{} actions at once", actions.len()));
        }
        for action in actions {
            if self.traced {
                self.trace.push(format!("{}     {action:?}", self.now));
            }
            self.perform(action)?;
        }
        self.check()
    }

    fn perform(&mut self, action: Action) -> Result<(), String> {
        if let Some(end) = &self.exit {
            return Err(format!("{action:?} after {end:?}"));
        }
        match action {
            Action::Begin(id, work) => self.begin(id, work)?,
            Action::Abandon(id) => {
                self.works.remove(&id).ok_or_else(|| format!("{id:?} is abandoned, but isn't active"))?;
            }
            Action::Spawn(process) => self.spawn(process)?,
            Action::Signal(process, signal) => self.signal(process, signal),
            Action::Reply(request, answer) => {
                match answer {
                    Answer::Changed => self.tally.commits += 1,
                    Answer::Stale => self.tally.stale += 1,
                    Answer::ChangeFailed { restored: true, .. } => self.tally.failed_changes += 1,
                    Answer::ChangeFailed { .. } => self.tally.not_restored += 1,
                    Answer::Refused(_) | Answer::Reply(_) => {}
                }
                self.answer(request, &show_answer(&answer))?;
            }
            Action::Report(request) => self.answer(request, "report")?,
            Action::Booted => self.tally.booted += 1,
            Action::Emit(Event::Failed { .. }) => self.tally.failed += 1,
            Action::Emit(Event::Unresponsive { .. }) => self.tally.unresponsive += 1,
            Action::Emit(Event::Exited { restarting: true, .. }) => self.tally.restarts += 1,
            Action::Exit(end) => {
                match end {
                    End::BootFailed { .. } => self.tally.boot_failures += 1,
                    End::Ordered if self.running.is_empty() => self.tally.stops += 1,
                    _ => self.tally.kills += 1,
                }
                self.exit = Some(end);
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, request: RequestId, text: &str) -> Result<(), String> {
        match self.answers.get_mut(&request) {
            Some(0) => self.answers.insert(request, 1).map(drop).ok_or_else(String::new),
            other => Err(format!("{request:?} gets the answer {text:?} after {other:?}")),
        }
    }

    fn spawn(&mut self, process: ProcessId) -> Result<(), String> {
        let same = |one: &&ProcessId| one.instance == process.instance && one.slot == process.slot;
        if self.running.iter().chain(&self.spawning).any(|one| same(&one)) {
            return Err(format!("{process:?} is started twice"));
        }
        self.spawning.insert(process);
        let mut rng = self.rng_of(("spawn", process.instance, process.slot));
        let fault = if rng.bool() { transient() } else { Fault::new("no such file") };
        let result = if self.fails(&mut rng) { Err(fault) } else { Ok(()) };
        let delay = self.delay(&mut rng).min(3_000);
        self.after(delay, Scheduled::Spawn(process, result));
        Ok(())
    }

    fn signal(&mut self, process: ProcessId, signal: StopSignal) {
        let mut rng = self.rng_of(("signal", process.instance, process.slot));
        match signal {
            StopSignal::Kill => self.after(rng.u64(..10), Scheduled::End(process, false)),
            StopSignal::Stop if self.hung.contains(&process) => drop(self.signalled.insert(process)),
            // The process ignores it.
            StopSignal::Stop if self.fails(&mut rng) => {}
            StopSignal::Stop => self.after(rng.u64(..300), Scheduled::End(process, true)),
        }
    }

    fn begin(&mut self, id: WorkId, work: Work) -> Result<(), String> {
        let mut rng = self.rng_of(("work", std::mem::discriminant(&work), instance_of(&work)));
        let (fails, mut delay) = (self.fails(&mut rng), self.delay(&mut rng));
        let mut outcome = if fails { Outcome::Failed(Fault::new("broken")) } else { Outcome::Ok };
        if let Work::Prepare { until: Some(until), .. }
        | Work::Apply { until: Some(until), .. }
        | Work::CreateDefaultNamespace { until: Some(until) } = &work
            && self.now + delay > until.0
        {
            delay = until.0.saturating_sub(self.now);
            outcome = Outcome::Failed(Fault::timeout("not yet"));
        }
        match &work {
            Work::Probe { .. } if !fails => self.after(delay, Scheduled::RunProbe(id)),
            Work::CheckProcess { process } if self.hung.contains(process) => {
                self.after(2_000, Scheduled::Done(id, Outcome::Failed(Fault::new("no answer"))));
            }
            Work::Check { instance } if self.is_hung(*instance) => {
                self.after(2_000, Scheduled::Done(id, Outcome::Failed(Fault::new("no answer"))));
            }
            Work::CreateNode { .. } if fails && rng.bool() => {
                self.after(delay, Scheduled::Done(id, Outcome::Failed(transient())));
            }
            Work::Plan { request } if !fails => {
                let Some((seed, plan)) = self.plans.get_mut(request) else {
                    return Err(format!("{request:?} is planned, but isn't a change"));
                };
                let mut rng = Rng::with_seed(*seed);
                let made = cluster::change(&mut rng, &self.disk.instances, &mut self.next_instance);
                self.specs.extend(made.starts.iter().cloned());
                *plan = Some(made.clone());
                self.after(delay, Scheduled::Done(id, Outcome::Planned(Box::new(made))));
            }
            Work::Commit { .. } | Work::Perform { .. } if !fails => {
                if let Some((_, other)) = self.works.iter().find(|(_, work)| writes(work)) {
                    return Err(format!("{work:?} at the same time as {other:?}"));
                }
                let written = delay / 2;
                self.after(written, Scheduled::Write(id));
                let outcome = match &work {
                    Work::Perform { request } if self.copies.contains(request) => {
                        Outcome::Answered(Box::new(Reply::Ended))
                    }
                    Work::Perform { .. } => Outcome::Committed(Box::new(Reply::Ports { ports: Vec::new() })),
                    _ => Outcome::Ok,
                };
                self.after(delay, Scheduled::Done(id, outcome));
            }
            _ => self.after(delay, Scheduled::Done(id, outcome)),
        }
        match self.works.insert(id, work) {
            Some(other) => Err(format!("{id:?} is already {other:?}")),
            None => Ok(()),
        }
    }

    fn is_hung(&self, instance: InstanceId) -> bool {
        self.hung.iter().any(|process| process.instance == instance)
    }

    fn handle(&mut self, scheduled: Scheduled) -> Result<(), String> {
        match scheduled {
            Scheduled::Step(incident) => self.step(incident),
            Scheduled::Healthy => {
                self.resume();
                Ok(())
            }
            Scheduled::Write(id) => {
                self.write(id);
                Ok(())
            }
            Scheduled::RunProbe(id) => self.run_probe(id),
            Scheduled::Done(id, outcome) => self.done(id, outcome),
            Scheduled::Spawn(process, result) => self.spawned(process, result),
            Scheduled::End(process, success) if self.running.contains(&process) => self.end(process, success),
            Scheduled::End(..) => Ok(()),
        }
    }

    /// Writes the state of a commit, unless the commit was abandoned.
    fn write(&mut self, id: WorkId) {
        match self.works.get(&id) {
            Some(Work::Commit { request }) => {
                if let Some((_, Some(plan))) = self.plans.get(request) {
                    let specs = plan.order.iter().filter_map(|id| Some((*id, self.specs.get(id)?.clone())));
                    self.disk = Disk { revision: self.disk.revision + 1, instances: specs.collect() };
                }
            }
            Some(Work::Perform { request }) if !self.copies.contains(request) => self.disk.revision += 1,
            _ => {}
        }
    }

    fn run_probe(&mut self, id: WorkId) -> Result<(), String> {
        let Some(Work::Probe { instance, until, .. }) = self.works.get(&id).cloned() else { return Ok(()) };
        if until.is_some_and(|until| until.0 <= self.now) {
            return self.feed(Input::Done(id, Outcome::Failed(Fault::timeout("no answer"))));
        }
        if !self.is_hung(instance) {
            return self.feed(Input::Done(id, Outcome::Ok));
        }
        let again = (self.now + 500).min(until.map_or(u64::MAX, |until| until.0));
        self.at(again, Scheduled::RunProbe(id));
        Ok(())
    }

    fn done(&mut self, id: WorkId, outcome: Outcome) -> Result<(), String> {
        let works = !matches!(outcome, Outcome::Failed(_));
        match self.works.get(&id).cloned() {
            // Abandoned work may have ended before: sometimes, its result arrives.
            None if id.0.is_multiple_of(2) => {}
            None => return Ok(()),
            Some(Work::CreateNode { node }) if works => {
                self.tally.nodes_created += 1;
                if !self.nodes.insert(node.clone()) {
                    return Err(format!("{node} is created twice"));
                }
            }
            Some(Work::EndNode { node }) => {
                self.tally.nodes_ended += 1;
                self.nodes.remove(&node);
                let on_it: Vec<ProcessId> =
                    self.running.iter().filter(|one| self.is_on(**one, &node)).copied().collect();
                if let Some(process) = on_it.first() {
                    return Err(format!("{node} ends, but {process:?} runs there"));
                }
            }
            Some(_) => {}
        }
        self.feed(Input::Done(id, outcome))
    }

    pub(super) fn is_on(&self, process: ProcessId, node: &str) -> bool {
        self.node_of(process) == Some(node)
    }

    fn node_of(&self, process: ProcessId) -> Option<&str> {
        self.specs.get(&process.instance).and_then(|spec| spec.own_node.as_deref())
    }

    fn spawned(&mut self, process: ProcessId, result: Result<(), Fault>) -> Result<(), String> {
        self.spawning.remove(&process);
        let is_possible = self.node_of(process).is_none_or(|node| self.nodes.contains(node));
        match result {
            Ok(()) if is_possible => {
                self.running.insert(process);
                if self.is_one_shot(process) {
                    let mut rng = self.rng_of(("one-shot", process.instance, process.slot));
                    let (success, delay) = (!self.fails(&mut rng), self.delay(&mut rng));
                    self.after(delay, Scheduled::End(process, success));
                }
                self.feed(Input::Spawned(process))
            }
            Ok(()) => self.feed(Input::SpawnFailed(process, Fault::new("the node is gone"))),
            Err(fault) => self.feed(Input::SpawnFailed(process, fault)),
        }
    }

    pub(super) fn end(&mut self, process: ProcessId, success: bool) -> Result<(), String> {
        self.running.remove(&process);
        self.hung.remove(&process);
        self.signalled.remove(&process);
        let spec = self.specs.get(&process.instance).and_then(|spec| spec.processes.get(process.slot));
        // A process that is never restarted doesn't fail here: its instance would never recover.
        let once = spec.is_some_and(|spec| spec.restart == Restart::NEVER && !spec.one_shot);
        self.feed(ended(process, success || once))
    }
}

impl Model {
    fn is_one_shot(&self, process: ProcessId) -> bool {
        let spec = self.specs.get(&process.instance).and_then(|spec| spec.processes.get(process.slot));
        spec.is_some_and(|spec| spec.one_shot)
    }
}

fn writes(work: &Work) -> bool {
    matches!(work, Work::Commit { .. } | Work::Perform { .. })
}

fn instance_of(work: &Work) -> Option<InstanceId> {
    match work {
        Work::Prepare { instance, .. }
        | Work::Probe { instance, .. }
        | Work::Check { instance }
        | Work::CheckProcess { process: ProcessId { instance, .. } }
        | Work::BeforeStop { instance }
        | Work::LoadImages { instance }
        | Work::Apply { instance, .. } => Some(*instance),
        _ => None,
    }
}
