//! The open requests of commands, and the outcomes of past changes.

use super::Cluster;
use super::broadcast::Subscriber;
use super::clients::ApiError;
use super::images::ImageError;
use super::reducer::{Answer, Input, RequestId, RequestKind};
use crate::api_client::Summary;
use crate::chain::chain;
use crate::control::{ChangeOutcome, ChangeRequest, InstanceReport, Message, Reply, Report, Request};
use crate::events::{Event, Watcher};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::UNIX_EPOCH;
use tokio::sync::oneshot;

/// How many outcomes of changes are kept, for commands that lost their connection.
const MAX_OUTCOMES: usize = 64;

/// A request that isn't answered yet.
enum Open {
    Ask(Request, oneshot::Sender<Reply>),
    Change(Rc<ChangeRequest>, Option<Watcher>),
    Stop(Option<Watcher>),
}

/// Why a request that doesn't involve the reducer failed.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("this request needs another kind of connection")]
    WrongConnection,
}

/// The open requests, and the outcomes of past changes.
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

    /// An open request for a change.
    pub(super) fn change(&self, id: RequestId) -> Option<Rc<ChangeRequest>> {
        match self.open.borrow().get(&id) {
            Some(Open::Change(change, _)) => Some(change.clone()),
            _ => None,
        }
    }

    /// An open request that the reducer performs exclusively. `None` if the command has
    /// disconnected.
    pub(super) fn exclusive(&self, id: RequestId) -> Option<Request> {
        match self.open.borrow().get(&id) {
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
        if outcomes.len() > MAX_OUTCOMES {
            outcomes.pop_front();
        }
    }
}

impl Cluster {
    /// Converts a message of a command to an input of the reducer. Returns `None` for a request
    /// that doesn't involve the reducer; it is answered here.
    pub(super) fn input_of(self: &Rc<Self>, message: Message) -> Option<Input> {
        let request = |open, kind| Some(Input::Request(self.requests.add(open), kind));
        match message {
            Message::Kill => Some(Input::Kill),
            Message::Stop(watcher) => request(Open::Stop(Some(watcher)), RequestKind::Stop),
            Message::Cancel(id) => {
                let open = self.requests.open.borrow();
                let is_change = |open: &Open| matches!(open, Open::Change(change, _) if change.id == id);
                open.iter().find(|(_, open)| is_change(open)).map(|(id, _)| Input::Cancel(*id))
            }
            Message::Change(change, watcher) => {
                let kind = RequestKind::Change { base: change.base };
                request(Open::Change(Rc::new(*change), Some(watcher)), kind)
            }
            Message::Ask(ask, reply) => {
                let kind = match &ask {
                    Request::Report { check } => RequestKind::Report { check: *check },
                    Request::Publish { .. } | Request::Unpublish { .. } | Request::Rename { .. } => {
                        RequestKind::Exclusive
                    }
                    Request::CopyState { .. } => RequestKind::Copy,
                    _ => {
                        self.answer_directly(ask, reply);
                        return None;
                    }
                };
                request(Open::Ask(ask, reply), kind)
            }
        }
    }

    /// Answers a request that doesn't involve the reducer, on its own task.
    fn answer_directly(self: &Rc<Self>, request: Request, reply: oneshot::Sender<Reply>) {
        let cluster = self.clone();
        tokio::task::spawn_local(async move {
            let answer = cluster.direct_answer(request).await;
            let _ = reply.send(answer.unwrap_or_else(|error| Reply::Failed { why: chain(&error) }));
        });
    }

    async fn direct_answer(&self, request: Request) -> Result<Reply, RequestError> {
        Ok(match request {
            Request::Summary => Reply::Summary { summary: self.summary().await?.into() },
            Request::Images => Reply::Images { nodes: self.images().await? },
            Request::Import { archive, name, id } => {
                Reply::Imported { nodes: self.import(&archive, &name, &id).await? }
            }
            Request::RemoveImage { name } => Reply::Removed { nodes: self.remove_image(&name).await? },
            Request::State => Reply::State { state: Box::new(self.committed.borrow().file.clone()) },
            Request::Ports => Reply::Ports { ports: self.published() },
            Request::Outcome { id } => Reply::Outcome { outcome: self.requests.outcome(&id) },
            _ => return Err(RequestError::WrongConnection),
        })
    }

    async fn summary(&self) -> Result<Summary, ApiError> {
        let api = self.api()?.ok_or(ApiError::NoServer)?;
        Ok(api.summary().await?)
    }

    /// Sends events to the command of a request from now on.
    pub(super) fn watch(&self, request: RequestId) {
        let watcher = match self.requests.open.borrow_mut().get_mut(&request) {
            Some(Open::Change(_, watcher) | Open::Stop(watcher)) => watcher.take(),
            _ => None,
        };
        if let Some(watcher) = watcher {
            self.sink.add(Subscriber::Request(request), watcher);
        }
    }

    /// Gives a request its answer.
    pub(super) fn reply(&self, request: RequestId, answer: Answer) {
        let open = self.requests.open.borrow_mut().remove(&request);
        match (open, answer) {
            (Some(Open::Ask(_, sender)), Answer::Reply(reply)) => drop(sender.send(*reply)),
            (Some(Open::Ask(_, sender)), _) => drop(sender.send(Reply::Failed { why: "it was rejected".into() })),
            (Some(Open::Change(change, watcher)), answer) => self.reply_to_change(request, &change.id, watcher, answer),
            // Its connection closes when the cluster has ended.
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
            // The change didn't begin, so only its own command gets the event.
            Some(watcher) => watcher.send(event),
            None => self.emit(event),
        }
        self.sink.end(Subscriber::Request(request));
    }

    /// Answers a request for a report.
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
                source: instance.registered.source.clone().into(),
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
            nodes: self.nodes.init_pids(),
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
