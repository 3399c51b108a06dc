//! Executes a reducer's actions by script. By default all work succeeds at once. Tests name work
//! that has to block or fail as the trace does: `prepare etcd`, `spawn etcd/0`.

use crate::control::Reply;
use crate::engine::reducer::{
    Action, Answer, ChangePlan, End, Fault, Input, InstanceId, InstanceSpec, Outcome, ProcessId, Reducer, RequestId,
    RequestKind, StopSignal, Time, Work, WorkId,
};
use crate::engine::{ClusterState, InstanceState};
use crate::events::Event;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) const BOOT_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct World {
    pub reducer: Reducer,
    pub now: Time,
    names: BTreeMap<InstanceId, String>,
    /// The names of active work.
    pub works: BTreeMap<WorkId, String>,
    spawning: Vec<ProcessId>,
    pub running: BTreeSet<ProcessId>,
    /// The names of work that blocks until the test finishes it.
    blocked: BTreeSet<String>,
    failing: BTreeMap<String, Fault>,
    /// The names of processes that ignore their stop signal.
    ignoring_stop: BTreeSet<String>,
    plans: BTreeMap<RequestId, Outcome>,
    next_request: u64,
    inputs: VecDeque<Input>,
    /// All actions, as text.
    pub trace: Vec<String>,
}

impl World {
    /// A cluster at the start of its boot.
    pub(super) fn new(specs: Vec<InstanceSpec>) -> Self {
        let instances: Vec<_> = (0..).map(InstanceId).zip(specs).collect();
        let names = instances.iter().map(|(id, spec)| (*id, spec.name.clone())).collect();
        Self {
            reducer: Reducer::boot(instances, BOOT_LIMIT, 7),
            now: Time::default(),
            names,
            works: BTreeMap::new(),
            spawning: Vec::new(),
            running: BTreeSet::new(),
            blocked: BTreeSet::new(),
            failing: BTreeMap::new(),
            ignoring_stop: BTreeSet::new(),
            plans: BTreeMap::new(),
            next_request: 0,
            inputs: VecDeque::new(),
            trace: Vec::new(),
        }
    }

    /// A cluster whose boot blocks at this work.
    pub(super) fn blocked(specs: Vec<InstanceSpec>, names: &[&str]) -> Self {
        let mut world = Self::new(specs);
        for name in names {
            world.block(name);
        }
        world.go();
        world
    }

    /// A cluster in whose boot this work fails.
    pub(super) fn failing(specs: Vec<InstanceSpec>, name: &str, fault: Fault) -> Self {
        let mut world = Self::new(specs);
        world.fail(name, fault).go();
        world
    }

    /// A control plane whose API server isn't ready yet.
    pub(super) fn booting() -> Self {
        Self::blocked(super::spec::control_plane(), &["probe apiserver/0"])
    }

    /// A cluster that has booted.
    pub(super) fn booted(specs: Vec<InstanceSpec>) -> Self {
        let mut world = Self::new(specs);
        world.go();
        assert_eq!(world.reducer.state(), ClusterState::Running, "{:#?}", world.trace);
        world
    }

    /// Blocks this work until the test finishes it.
    pub(super) fn block(&mut self, name: &str) -> &mut Self {
        self.blocked.insert(name.to_owned());
        self
    }

    /// Lets this work fail until [`World::heal`].
    pub(super) fn fail(&mut self, name: &str, fault: Fault) -> &mut Self {
        self.failing.insert(name.to_owned(), fault);
        self
    }

    pub(super) fn heal(&mut self, name: &str) {
        assert!(self.failing.remove(name).is_some(), "{name} doesn't fail");
    }

    /// Lets a process ignore its stop signal.
    pub(super) fn ignore_stop_signal(&mut self, process: &str) {
        self.ignoring_stop.insert(process.to_owned());
    }

    /// Sends a tick, and executes all actions that follow at this time.
    pub(super) fn go(&mut self) {
        self.feed(Input::Tick);
    }

    /// Sends an input to the reducer, and executes all actions that follow.
    pub(super) fn feed(&mut self, input: Input) {
        self.inputs.push_back(input);
        let mut steps = 0;
        while let Some(input) = self.inputs.pop_front() {
            if let Input::Done(work, _) = &input {
                self.works.remove(work);
            }
            let actions = self.reducer.handle(self.now, input);
            for action in actions {
                self.perform(action);
            }
            steps += 1;
            assert!(steps < 1000, "the actions don't end: {:#?}", &self.trace[self.trace.len() - 20..]);
        }
    }

    /// Advances the time. Sends a tick at each deadline of the reducer.
    pub(super) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut idle_rounds = 0;
        while let Some(at) = self.reducer.deadline().filter(|at| *at <= until) {
            idle_rounds = if at > self.now { 0 } else { idle_rounds + 1 };
            assert!(idle_rounds < 5, "its deadline {at:?} is in the past at {:?}", self.now);
            self.now = at.max(self.now);
            self.go();
        }
        self.now = until;
        self.go();
    }

    pub(super) fn wait_s(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// Finishes blocked work or a blocked spawn with success.
    pub(super) fn finish(&mut self, name: &str) {
        self.finish_with(name, Outcome::Ok);
    }

    pub(super) fn finish_with(&mut self, name: &str, outcome: Outcome) {
        if let Some(at) = self.spawning.iter().position(|process| format!("spawn {}", self.process(*process)) == name) {
            let process = self.spawning.remove(at);
            return match outcome {
                Outcome::Failed(fault) => self.feed(Input::SpawnFailed(process, fault)),
                _ => {
                    self.running.insert(process);
                    self.feed(Input::Spawned(process));
                }
            };
        }
        let id = self.works.iter().find(|(_, work)| *work == name).map(|(id, _)| *id);
        let id = id.unwrap_or_else(|| panic!("{name} isn't active, but {:?}", self.works));
        self.works.remove(&id);
        self.feed(Input::Done(id, outcome));
    }

    pub(super) fn finish_failed(&mut self, name: &str, fault: Fault) {
        self.finish_with(name, Outcome::Failed(fault));
    }

    /// Lets a process exit by itself.
    pub(super) fn end(&mut self, name: &str, success: bool) {
        let found = self.running.iter().find(|process| self.process(**process) == name).copied();
        let process = found.unwrap_or_else(|| panic!("{name} doesn't run"));
        self.running.remove(&process);
        self.feed(ended(process, success));
    }

    pub(super) fn crash(&mut self, name: &str) {
        self.end(name, false);
    }

    /// Ends a node's init and the given processes on the node.
    pub(super) fn end_node(&mut self, node: &str, processes: &[&str]) {
        self.feed(Input::NodeEnded(node.to_owned()));
        processes.iter().for_each(|process| self.crash(process));
    }

    pub(super) fn request(&mut self, kind: RequestKind) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.feed(Input::Request(id, kind));
        id
    }

    /// Requests a change that is based on the current revision.
    pub(super) fn change(&mut self, plan: ChangePlan) -> RequestId {
        let base = self.reducer.revision();
        self.plan_next(plan);
        self.request(RequestKind::Change { base })
    }

    /// Sets the plan of the next requested change.
    pub(super) fn plan_next(&mut self, plan: ChangePlan) {
        for (id, spec) in &plan.starts {
            self.names.insert(*id, spec.name.clone());
        }
        self.plans.insert(RequestId(self.next_request + 1), Outcome::Planned(Box::new(plan)));
    }

    /// The answers to a request, as text.
    pub(super) fn answers(&self, request: RequestId) -> Vec<&str> {
        let start = format!("answer {}: ", request.0);
        self.trace.iter().filter_map(|line| line.strip_prefix(&start)).collect()
    }

    /// The answer to a request. Panics if it has none or several.
    pub(super) fn answer(&self, request: RequestId) -> &str {
        match self.answers(request)[..] {
            [one] => one,
            ref other => panic!("answers to {request:?}: {other:?} in {:#?}", self.trace),
        }
    }

    #[track_caller]
    pub(super) fn assert_answered_once(&self, requests: impl IntoIterator<Item = RequestId>) {
        for request in requests {
            assert_eq!(self.answers(request).len(), 1, "{request:?} in {:#?}", self.trace);
        }
    }

    pub(super) fn exit(&self) -> Option<&str> {
        self.trace.iter().find_map(|line| line.strip_prefix("exit "))
    }

    /// The index of a line in the trace.
    pub(super) fn at(&self, line: &str) -> usize {
        self.trace.iter().position(|one| one == line).unwrap_or_else(|| panic!("no {line:?} in {:#?}", self.trace))
    }

    pub(super) fn count(&self, line: &str) -> usize {
        self.trace.iter().filter(|one| *one == line).count()
    }

    pub(super) fn saw(&self, line: &str) -> bool {
        self.count(line) > 0
    }

    /// Whether the trace has a line that contains this text.
    pub(super) fn mentioned(&self, text: &str) -> bool {
        self.trace.iter().any(|line| line.contains(text))
    }

    /// Asserts that the trace has these lines in this order.
    #[track_caller]
    pub(super) fn assert_order(&self, lines: &[&str]) {
        let places: Vec<usize> = lines.iter().map(|line| self.at(line)).collect();
        assert!(places.is_sorted(), "{lines:?} are at {places:?} in {:#?}", self.trace);
    }

    pub(super) fn is_active(&self, name: &str) -> bool {
        self.works.values().any(|work| work == name)
    }

    pub(super) fn instance(&self, id: u32) -> Option<InstanceState> {
        self.reducer.instance_state(InstanceId(id))
    }

    pub(super) fn runs(&self, process: &str) -> bool {
        self.running.iter().any(|one| self.process(*one) == process)
    }

    fn name(&self, id: InstanceId) -> &str {
        self.names.get(&id).map_or("?", String::as_str)
    }

    fn process(&self, process: ProcessId) -> String {
        format!("{}/{}", self.name(process.instance), process.slot)
    }

    fn perform(&mut self, action: Action) {
        let line = self.show(&action);
        self.trace.push(line);
        match action {
            Action::Begin(id, work) => self.begin(id, &work),
            Action::Abandon(id) => {
                assert!(self.works.remove(&id).is_some(), "{id:?} isn't active");
            }
            Action::Spawn(process) => self.spawn(process),
            Action::Signal(process, signal) => {
                let ignores = signal == StopSignal::Stop && self.ignoring_stop.contains(&self.process(process));
                if !ignores && self.running.remove(&process) {
                    self.inputs.push_back(ended(process, true));
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, id: WorkId, work: &Work) {
        let name = self.work(work);
        let planned = match work {
            Work::Plan { request } => self.plans.remove(request),
            Work::Perform { .. } => Some(Outcome::Committed(Box::new(Reply::Ports { ports: Vec::new() }))),
            _ => None,
        };
        if !self.blocked.contains(&name) {
            let failed = self.failing.get(&name).cloned().map(Outcome::Failed);
            self.inputs.push_back(Input::Done(id, failed.or(planned).unwrap_or(Outcome::Ok)));
        }
        self.works.insert(id, name);
    }

    fn spawn(&mut self, process: ProcessId) {
        let twin = self
            .running
            .iter()
            .chain(&self.spawning)
            .find(|one| one.instance == process.instance && one.slot == process.slot);
        assert!(twin.is_none(), "{} is started twice", self.process(process));
        let name = format!("spawn {}", self.process(process));
        if self.blocked.contains(&name) {
            self.spawning.push(process);
        } else if let Some(fault) = self.failing.get(&name) {
            self.inputs.push_back(Input::SpawnFailed(process, fault.clone()));
        } else {
            self.running.insert(process);
            self.inputs.push_back(Input::Spawned(process));
        }
    }

    fn work(&self, work: &Work) -> String {
        match work {
            Work::CreateNode { node } => format!("create node {node}"),
            Work::EndNode { node } => format!("end node {node}"),
            Work::Prepare { instance, .. } => format!("prepare {}", self.name(*instance)),
            Work::Probe { instance, endpoint, .. } => format!("probe {}/{endpoint}", self.name(*instance)),
            Work::Check { instance } => format!("check {}", self.name(*instance)),
            Work::CheckProcess { process } => format!("check process {}", self.process(*process)),
            Work::BeforeStop { instance } => format!("hook {}", self.name(*instance)),
            Work::LoadImages { instance } => format!("images {}", self.name(*instance)),
            Work::Apply { instance, .. } => format!("apply {}", self.name(*instance)),
            Work::LoadPauseImage => "pause image".into(),
            Work::CreateDefaultNamespace { .. } => "default namespace".into(),
            Work::Prune => "prune".into(),
            Work::RestoreNodes => "restore nodes".into(),
            Work::Plan { .. } => "plan".into(),
            Work::Drain { nodes } => format!("drain {}", nodes.join(",")),
            Work::Uncordon { nodes } => format!("uncordon {}", nodes.join(",")),
            Work::MarkNodes { off, on } => format!("mark nodes off={} on={}", off.join(","), on.join(",")),
            Work::Commit { .. } => "commit".into(),
            Work::Perform { request } => format!("perform {}", request.0),
        }
    }

    fn show(&self, action: &Action) -> String {
        match action {
            Action::Begin(_, work) => format!("begin {}", self.work(work)),
            Action::Abandon(id) => format!("abandon {}", self.works.get(id).map_or("?", String::as_str)),
            Action::Spawn(process) => format!("spawn {}", self.process(*process)),
            Action::Signal(process, StopSignal::Stop) => format!("stop {}", self.process(*process)),
            Action::Signal(process, StopSignal::Kill) => format!("kill {}", self.process(*process)),
            Action::Role(role, ready) => format!("role {} {ready}", role.role),
            Action::Order(order) => {
                format!("order {}", order.iter().map(|id| self.name(*id)).collect::<Vec<_>>().join(" "))
            }
            Action::Emit(event) => show_event(event),
            Action::Reply(request, answer) => format!("answer {}: {}", request.0, show_answer(answer)),
            Action::Report(request) => format!("answer {}: report", request.0),
            Action::Exit(End::Ordered) => "exit ordered".into(),
            Action::Exit(End::KeeperGone) => "exit keeper gone".into(),
            Action::Exit(End::BootFailed { error, timed_out: false }) => format!("exit boot failed: {error}"),
            Action::Exit(End::BootFailed { error, .. }) => format!("exit boot timed out: {error}"),
            Action::BringUp => "bring up".into(),
            Action::Booted => "booted".into(),
            Action::Adopt(_) => "adopt".into(),
            Action::Restore => "restore".into(),
            Action::RestorePriorities => "restore priorities".into(),
            Action::LowerPriority(id) => format!("lower priority {}", self.name(*id)),
            Action::Watch(request) => format!("watch {}", request.0),
            Action::RecordEnd(by) => format!("record end {by:?}"),
        }
    }
}

pub(super) fn ended(process: ProcessId, success: bool) -> Input {
    let status = if success { "exit status 0" } else { "exit status 1" };
    Input::Ended { process, status: status.into(), success, log: "its log is empty".into() }
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Started { instance } => format!("started {instance}"),
        Event::Ready { instance } => format!("ready {instance}"),
        Event::Failed { instance, error } => format!("failed {instance}: {error}"),
        Event::Unresponsive { instance, .. } => format!("unresponsive {instance}"),
        Event::Exited { instance, process, restarting, .. } => {
            format!("exited {instance} {process} restarting={restarting}")
        }
        Event::Stopping { instance } => format!("stopping {instance}"),
        Event::Stopped { instance } => format!("stopped {instance}"),
        Event::Warning { message } => format!("warning {message}"),
        Event::BootReady => "boot ready".into(),
        Event::RoleReady { role, .. } => format!("role ready {role}"),
        other => format!("{other:?}"),
    }
}

pub(super) fn show_answer(answer: &Answer) -> String {
    match answer {
        Answer::Changed => "changed".into(),
        Answer::ChangeFailed { error, restored } => format!("change failed restored={restored}: {error}"),
        Answer::Refused(why) => format!("refused: {why}"),
        Answer::Stale => "stale".into(),
        Answer::Reply(reply) => match &**reply {
            Reply::Ended => "ended".into(),
            Reply::Failed { why } => format!("failed: {why}"),
            Reply::Ports { .. } => "ports".into(),
            other => format!("{other:?}"),
        },
    }
}
