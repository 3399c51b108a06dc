//! Carries out what the rules decide.

use super::failure::LogTail;
use super::reducer::{Action, EndedBy, Fault, Input, InstanceId, Outcome, ProcessId, StopSignal, Work, WorkId};
use super::watch::By;
use super::{Cluster, StartFailure};
use crate::process::{Launch, request_stop, reset_all_priorities};
use crate::sandbox::Ending;
use futures_util::FutureExt;
use nix::sys::signal::Signal;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::SystemTime;

impl Cluster {
    /// Carries out a decision. What follows from it comes back as an input.
    pub(super) fn perform(self: &Rc<Self>, action: Action) {
        match action {
            Action::Begin(id, work) => self.begin(id, work),
            Action::Abandon(id) => {
                if let Some(task) = self.works.borrow_mut().remove(&id) {
                    task.abort();
                }
            }
            Action::Spawn(process) => self.spawn(process),
            Action::Signal(process, signal) => self.signal(process, signal),
            Action::Role(role, ready) => self.board.set(&role, ready),
            Action::Order(order) => self.set_order(order),
            Action::Bring => {
                self.since.set(SystemTime::now());
                self.announce_objects();
            }
            Action::Yield(id) => self.yield_cpu(id),
            Action::EndYield => reset_all_priorities(),
            Action::Adopt(request) => self.adopt(request),
            Action::Restore => self.restore(),
            Action::Emit(event) => self.emit(event),
            Action::Watch(request) => self.watch(request),
            // The command returns now; what it would say with its end is no order any more.
            Action::Booted => self.sink.end(By::Boot),
            Action::Reply(request, answer) => self.reply(request, answer),
            Action::Report(request) => self.reply_report(request),
            Action::NoteEnd(EndedBy::Boot) => Ending::Boot.note(&self.root),
            Action::NoteEnd(EndedBy::Stop) => Ending::Stop.note(&self.root),
            // The loop sees it. All that can still be written is the state that is in force.
            Action::Exit(_) => self.repair_file(),
        }
    }

    /// Begins work on a task of its own, which the rules can abandon.
    fn begin(self: &Rc<Self>, id: WorkId, work: Work) {
        let cluster = self.clone();
        let task = tokio::task::spawn_local(async move {
            // tokio panics where the host gives it no thread. Work that never answered would be
            // waited for without end.
            let outcome = AssertUnwindSafe(cluster.work(work)).catch_unwind().await.unwrap_or_else(|_| {
                Outcome::Failed(Fault { transient: true, ..Fault::new("the host has no thread left for it") })
            });
            cluster.works.borrow_mut().remove(&id);
            let _ = cluster.inputs.send(Input::Done(id, outcome));
        });
        self.works.borrow_mut().insert(id, task.abort_handle());
    }

    fn spawn(self: &Rc<Self>, id: ProcessId) {
        let input = match self.try_spawn(id) {
            Ok(()) => Input::Spawned(id),
            Err(failure) => Input::SpawnFailed(id, failure.fault()),
        };
        let _ = self.inputs.send(input);
    }

    fn try_spawn(self: &Rc<Self>, id: ProcessId) -> Result<(), StartFailure> {
        let gone = || StartFailure::Node("the instance is gone".into());
        let planned = self.instance(id.instance).ok_or_else(gone)?;
        let process = planned.instance.plan.processes.get(id.slot).ok_or_else(gone)?;
        let spawner = self.spawner_of(&planned).map_err(StartFailure::Node)?;
        let process = &self.told_of_proxies(&planned, process);
        let launch = Launch { process, directory: &planned.directory };
        let failed = |source| StartFailure::Spawn { process: process.name.clone(), source };
        let running = spawner.spawn(&launch).map_err(failed)?;
        self.running.borrow_mut().insert(id, running.clone());
        let cluster = self.clone();
        tokio::task::spawn_local(async move {
            let exit = running.wait().await;
            cluster.running.borrow_mut().remove(&id);
            let log = LogTail::of(&running.log).to_string();
            let (status, success) = (exit.to_string(), exit.code() == 0);
            let _ = cluster.inputs.send(Input::Ended { process: id, status, success, log });
        });
        Ok(())
    }

    fn signal(&self, id: ProcessId, signal: StopSignal) {
        let running = self.running.borrow();
        let Some(running) = running.get(&id).filter(|running| running.exit().is_none()) else { return };
        let own = i32::try_from(running.process.stop_signal.0).ok();
        let own = own.and_then(|number| Signal::try_from(number).ok()).unwrap_or(Signal::SIGTERM);
        match signal {
            StopSignal::Stop => request_stop(running, own),
            StopSignal::Kill => {
                if !running.process.stop_grace.is_zero() {
                    log::warn!("{} ignored {own} for {:?}", running.process.name, running.process.stop_grace);
                }
                request_stop(running, Signal::SIGKILL);
            }
        }
    }

    /// Forgets instances that the rules have forgotten.
    fn set_order(&self, order: Vec<InstanceId>) {
        *self.order.borrow_mut() = order;
        let reducer = self.reducer.borrow();
        self.planned.borrow_mut().retain(|id, _| reducer.instance_state(*id).is_some());
    }
}

/// What the rules learn of work that ended.
pub(super) fn outcome<E: Into<Fault>>(result: Result<(), E>) -> Outcome {
    match result {
        Ok(()) => Outcome::Ok,
        Err(error) => Outcome::Failed(error.into()),
    }
}
