//! Requests that commands made, until each is answered.

use super::Cluster;
use super::reducer::{Answer, Input, RequestId, RequestKind};
use super::watch::By;
use crate::control::{ChangeOutcome, ChangeRequest, InstanceReport, Message, Reply, Report, Request};
use crate::events::{Event, Watcher};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::UNIX_EPOCH;
use tokio::sync::oneshot;

/// So many changes are remembered, for commands that lost the line.
const REMEMBERED: usize = 64;

/// A request that waits for its answer.
enum Open {
    Ask(Request, oneshot::Sender<Reply>),
    Change(Rc<ChangeRequest>, Option<Watcher>),
    Stop(Option<Watcher>),
}

/// Requests that wait for their answers, and what became of changes.
#[derive(Default)]
pub(super) struct Requests {
    next: Cell<u64>,
    open: RefCell<BTreeMap<RequestId, Open>>,
    outcomes: RefCell<VecDeque<(String, ChangeOutcome)>>,
}

impl Requests {
    fn add(&self, open: Open) -> RequestId {
        let id = RequestId(self.next.replace(self.next.get() + 1));
        self.open.borrow_mut().insert(id, open);
        id
    }

    /// The state that a change is to lead to.
    pub(super) fn change(&self, id: RequestId) -> Option<Rc<ChangeRequest>> {
        match self.open.borrow().get(&id) {
            Some(Open::Change(change, _)) => Some(change.clone()),
            _ => None,
        }
    }

    /// A request that is performed beside no change.
    pub(super) fn asked(&self, id: RequestId) -> Option<Request> {
        match self.open.borrow().get(&id) {
            // A command that went away doesn't want it any more.
            Some(Open::Ask(request, reply)) if !reply.is_closed() => Some(request.clone()),
            _ => None,
        }
    }

    fn outcome(&self, id: &str) -> ChangeOutcome {
        let is_open = |open: &Open| matches!(open, Open::Change(change, _) if change.id == id);
        if self.open.borrow().values().any(is_open) {
            return ChangeOutcome::Pending;
        }
        let known = self.outcomes.borrow().iter().find(|(known, _)| known == id).map(|(_, outcome)| outcome.clone());
        known.unwrap_or(ChangeOutcome::Unknown)
    }

    fn remember(&self, id: &str, outcome: ChangeOutcome) {
        let mut outcomes = self.outcomes.borrow_mut();
        outcomes.push_back((id.to_owned(), outcome));
        if outcomes.len() > REMEMBERED {
            outcomes.pop_front();
        }
    }
}

impl Cluster {
    /// What a message of a command is to the rules; `None` where it is answered beside them.
    pub(super) fn input_of(self: &Rc<Self>, message: Message) -> Option<Input> {
        let request = |open, kind| Some(Input::Request(self.requests.add(open), kind));
        match message {
            Message::Kill => Some(Input::Kill),
            Message::Stop(watcher) => request(Open::Stop(Some(watcher)), RequestKind::Stop),
            Message::Cancel(id) => {
                let open = self.requests.open.borrow();
                let meant = |open: &Open| matches!(open, Open::Change(change, _) if change.id == id);
                open.iter().find(|(_, open)| meant(open)).map(|(id, _)| Input::Cancel(*id))
            }
            Message::Change(change, watcher) => {
                let kind = RequestKind::Change { base: change.base };
                request(Open::Change(Rc::new(*change), Some(watcher)), kind)
            }
            Message::Ask(asked, reply) => {
                let kind = match &asked {
                    Request::Report { check } => RequestKind::Report { check: *check },
                    Request::Publish { .. } | Request::Unpublish { .. } | Request::Rename { .. } => {
                        RequestKind::Exclusive
                    }
                    Request::CopyState { .. } => RequestKind::Copy,
                    _ => {
                        self.answer_beside(asked, reply);
                        return None;
                    }
                };
                request(Open::Ask(asked, reply), kind)
            }
        }
    }

    /// Answers what the rules needn't know of; that may take its time.
    fn answer_beside(self: &Rc<Self>, asked: Request, reply: oneshot::Sender<Reply>) {
        let cluster = self.clone();
        tokio::task::spawn_local(async move {
            let answered = match asked {
                Request::Summary => cluster.summary().await.map(|summary| Reply::Summary { summary }),
                Request::Images => cluster.images().await.map(|nodes| Reply::Images { nodes }),
                Request::Import { archive, name, id } => {
                    cluster.import(&archive, &name, &id).await.map(|nodes| Reply::Imported { nodes })
                }
                Request::RemoveImage { name } => {
                    cluster.remove_image(&name).await.map(|nodes| Reply::Removed { nodes })
                }
                Request::State => Ok(Reply::State { state: Box::new(cluster.committed.borrow().file.clone()) }),
                Request::Ports => Ok(Reply::Ports { ports: cluster.published() }),
                Request::Outcome { id } => Ok(Reply::Outcome { outcome: cluster.requests.outcome(&id) }),
                _ => Err("this request needs another kind of connection".to_owned()),
            };
            let _ = reply.send(answered.unwrap_or_else(|why| Reply::Failed { why }));
        });
    }

    async fn summary(&self) -> Result<crate::api::Summary, String> {
        let api = self.api()?.ok_or("the cluster has no API server")?;
        api.summary().await.map_err(|error| error.to_string())
    }

    /// Tells the command that made a request of events from now on.
    pub(super) fn watch(&self, request: RequestId) {
        let watcher = match self.requests.open.borrow_mut().get_mut(&request) {
            Some(Open::Change(_, watcher) | Open::Stop(watcher)) => watcher.take(),
            _ => None,
        };
        if let Some(watcher) = watcher {
            self.sink.add(By::Request(request), watcher);
        }
    }

    /// Gives a request its answer.
    pub(super) fn reply(&self, request: RequestId, answer: Answer) {
        let open = self.requests.open.borrow_mut().remove(&request);
        match (open, answer) {
            (Some(Open::Ask(_, sender)), Answer::Reply(reply)) => drop(sender.send(*reply)),
            (Some(Open::Ask(_, sender)), _) => drop(sender.send(Reply::Failed { why: "it was refused".into() })),
            (Some(Open::Change(change, watcher)), answer) => self.reply_to_change(request, &change.id, watcher, answer),
            // Its connection ends when nothing is left.
            (Some(Open::Stop(_)) | None, _) => {}
        }
    }

    fn reply_to_change(&self, request: RequestId, id: &str, watcher: Option<Watcher>, answer: Answer) {
        let (event, outcome) = match answer {
            Answer::Changed => (Event::Changed, ChangeOutcome::Changed),
            Answer::ChangeFailed { error, restored } => {
                (Event::ChangeFailed { error: error.clone(), restored }, ChangeOutcome::Failed { error, restored })
            }
            Answer::Refused(error) => (Event::ChangeRefused { error: error.clone() }, ChangeOutcome::Refused { error }),
            Answer::Stale | Answer::Reply(_) => (Event::ChangeStale, ChangeOutcome::Stale),
        };
        self.requests.remember(id, outcome);
        match watcher {
            // It was never begun: other commands needn't know of it.
            Some(watcher) => watcher.send(event),
            None => self.emit(event),
        }
        self.sink.end(By::Request(request));
    }

    /// Gives a request for a report its answer.
    pub(super) fn reply_report(&self, request: RequestId) {
        let report = self.report();
        self.reply(request, Answer::Reply(Box::new(Reply::Report { report })));
    }

    fn report(&self) -> Report {
        let reducer = self.reducer.borrow();
        let since = self.booted_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let instances = reducer.instances().filter_map(|(id, state, restarts, reason)| {
            let planned = self.instance(id)?;
            let instance = &planned.instance;
            Some(InstanceReport {
                instance: instance.instance.clone(),
                component: instance.component.clone(),
                phase: instance.phase.to_string(),
                node: instance.node.clone(),
                source: instance.registered.source.clone(),
                version: instance.registered.version.clone(),
                roles: instance.plan.provides.iter().map(|endpoint| endpoint.role.to_string()).collect(),
                state: state.into(),
                reason: reason.map(str::to_owned),
                pids: self.processes_of(id).iter().map(|running| running.pid.as_raw()).collect(),
                restarts,
                logs: instance
                    .plan
                    .processes
                    .iter()
                    .map(|process| planned.directory.join(format!("{}.log", process.name)))
                    .collect(),
            })
        });
        let state = reducer.state();
        Report {
            instances: instances.collect(),
            nodes: self.nodes.first_processes(),
            booted_at_ms: u64::try_from(since.as_millis()).unwrap_or_default(),
            ready: reducer.is_booted() && reducer.problems().is_empty(),
            booted: reducer.is_booted(),
            ending: state == super::ClusterState::Stopping,
            state: Some(state.into()),
            revision: reducer.revision(),
            kubernix: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
