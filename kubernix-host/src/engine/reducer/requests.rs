//! Requests of commands: queues those that must not run at the same time, and answers each exactly
//! once.

use super::instance::State;
use super::liveness::RECHECK_INTERVAL;
use super::types::{Action, Answer, End, EndCause, Input, Outcome, RequestId, RequestKind, Work, WorkId};
use super::{Phase, Reducer};
use crate::control::Reply;

const BOOTING: &str = "the cluster is still booting";
const ENDING: &str = "the cluster is ending";
/// For a request that may have been committed already.
const UNKNOWN: &str = "the cluster ended before the outcome was known";

fn failed(why: &str) -> Answer {
    Answer::Reply(Box::new(Reply::Failed { why: why.to_owned() }))
}

pub(super) fn refusal(kind: RequestKind, why: &str) -> Answer {
    match kind {
        RequestKind::Change { .. } => Answer::Refused(why.to_owned()),
        _ => failed(why),
    }
}

impl Reducer {
    pub(super) fn request(&mut self, request: RequestId, kind: RequestKind) {
        match kind {
            RequestKind::Report { check: true } if self.is_booted() => self.report_checked(request),
            RequestKind::Report { .. } => self.actions.push(Action::Report(request)),
            RequestKind::Stop => {
                self.actions.push(Action::Watch(request));
                self.stop_requests.push(request);
                self.stop_all(End::Ordered, EndCause::Stop);
            }
            RequestKind::Change { .. } | RequestKind::Exclusive | RequestKind::Copy => match self.phase {
                Phase::Booting(_) => self.actions.push(Action::Reply(request, refusal(kind, BOOTING))),
                Phase::Stopping(_) | Phase::Ended => {
                    self.actions.push(Action::Reply(request, refusal(kind, ENDING)));
                }
                Phase::Running | Phase::Changing(_) => self.queue.push_back((request, kind)),
            },
        }
    }

    /// Begins the next request of the queue.
    pub(super) fn advance_queue(&mut self) {
        if !matches!(self.phase, Phase::Running) || self.performing.is_some() {
            return;
        }
        let Some((request, kind)) = self.queue.pop_front() else { return };
        match kind {
            RequestKind::Change { base } if base != self.revision => {
                self.actions.push(Action::Reply(request, Answer::Stale));
            }
            RequestKind::Change { .. } => self.begin_change(request),
            _ => {
                let work = self.begin(Work::Perform { request });
                self.performing = Some((request, work, kind));
            }
        }
    }

    /// Whether a copy is running. Its processes are paused, so failures of their checks don't
    /// count.
    pub(super) fn is_copying(&self) -> bool {
        self.performing.is_some_and(|(.., kind)| kind == RequestKind::Copy)
    }

    /// Removes the request that was being performed. Processes that were paused for a copy get time
    /// to respond again.
    fn take_performing(&mut self) -> Option<(RequestId, WorkId)> {
        let was_copying = self.is_copying();
        let (request, work, _) = self.performing.take()?;
        if was_copying {
            let earliest = self.now + RECHECK_INTERVAL;
            self.instances.values_mut().for_each(|one| one.next_check = one.next_check.max(earliest));
        }
        Some((request, work))
    }

    /// Handles the result of a request that isn't a change.
    pub(super) fn performed(&mut self, outcome: Outcome) {
        let Some((request, _)) = self.take_performing() else { return };
        let answer = match outcome {
            Outcome::Answered(reply) => Answer::Reply(reply),
            Outcome::Committed(reply) => {
                self.revision += 1;
                Answer::Reply(reply)
            }
            Outcome::Failed(fault) => failed(&fault.detail),
            _ => failed("it was not answered"),
        };
        self.actions.push(Action::Reply(request, answer));
    }

    /// Rejects the queued requests, answers those for reports, and cancels a copy: its paused
    /// processes couldn't stop.
    pub(super) fn reject_queue(&mut self) {
        for (request, kind) in std::mem::take(&mut self.queue) {
            self.actions.push(Action::Reply(request, refusal(kind, ENDING)));
        }
        if self.is_copying() {
            self.cancel_performing(ENDING);
        }
        for (request, _) in std::mem::take(&mut self.reports) {
            self.actions.push(Action::Report(request));
        }
    }

    fn cancel_performing(&mut self, why: &str) {
        if let Some((request, work)) = self.take_performing() {
            self.cancel_work(work);
            self.actions.push(Action::Reply(request, failed(why)));
        }
    }

    /// Answers all open requests.
    pub(super) fn answer_all(&mut self) {
        self.abort_change();
        self.reject_queue();
        self.cancel_performing(UNKNOWN);
        if let Some((request, work)) = self.committing.take() {
            self.cancel_work(work);
            let answer = Answer::ChangeFailed { error: UNKNOWN.to_owned(), restored: false };
            self.actions.push(Action::Reply(request, answer));
        }
        for request in std::mem::take(&mut self.stop_requests) {
            let ended = self.instances.values().all(|one| matches!(one.state, State::Off | State::Stopped));
            let reply = if ended { Reply::Ended } else { Reply::Failed { why: "the cluster was killed".into() } };
            self.actions.push(Action::Reply(request, Answer::Reply(Box::new(reply))));
        }
    }

    /// Rejects a request that arrives after the exit, before the event loop ends.
    pub(super) fn reject_late(&mut self, input: &Input) {
        if let Input::Request(request, kind) = input {
            self.actions.push(Action::Reply(*request, refusal(*kind, ENDING)));
        }
    }
}
