//! Executes the actions of the reducer.

use super::broadcast::Subscriber;
use super::failure::LogTail;
use super::reducer::{Action, EndCause, Fault, Input, InstanceId, Outcome, ProcessId, StopSignal, Work, WorkId};
use super::{Cluster, StartFailure};
use crate::process::{Launch, request_stop, reset_all_priorities};
use crate::sandbox::Ending;
use futures_util::FutureExt;
use nix::sys::signal::Signal;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::SystemTime;

impl Cluster {
    /// Executes an action. Its result is sent to the reducer as an input.
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
            Action::Role(role, ready) => self.readiness.set(&role, ready),
            Action::Order(order) => self.set_order(order),
            Action::BringUp => {
                self.since.set(SystemTime::now());
                self.record_objects();
            }
            Action::LowerPriority(id) => self.lower_priority(id),
            Action::RestorePriorities => reset_all_priorities(),
            Action::Adopt(request) => self.adopt(request),
            Action::Restore => self.restore(),
            Action::Emit(event) => self.emit(event),
            Action::Watch(request) => self.watch(request),
            // The command exits now. Its disconnection doesn't abort the boot any more.
            Action::Booted => self.sink.end(Subscriber::Boot),
            Action::Reply(request, answer) => self.reply(request, answer),
            Action::Report(request) => self.reply_report(request),
            Action::RecordEnd(EndCause::Boot) => Ending::Boot.note(&self.root),
            Action::RecordEnd(EndCause::Stop) => Ending::Stop.note(&self.root),
            // The event loop ends.
            Action::Exit(_) => self.repair_file(),
        }
    }

    /// Starts work on its own task, which the reducer can abandon.
    fn begin(self: &Rc<Self>, id: WorkId, work: Work) {
        let cluster = self.clone();
        let task = tokio::task::spawn_local(async move {
            // tokio panics if the host has no thread left. Without an outcome, the reducer would
            // wait forever.
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
        let planned = self.instance(id.instance).ok_or(StartFailure::Removed)?;
        let process = planned.instance.plan.processes.get(id.slot).ok_or(StartFailure::Removed)?;
        let spawner = self.spawner_of(&planned)?;
        let process = &self.with_proxies(&planned, process);
        let launch = Launch { process, directory: &planned.directory };
        let running =
            spawner.spawn(&launch).map_err(|source| StartFailure::Spawn { process: process.name.clone(), source })?;
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
        let stop_signal = i32::try_from(running.process.stop_signal.0).ok();
        let stop_signal = stop_signal.and_then(|number| Signal::try_from(number).ok()).unwrap_or(Signal::SIGTERM);
        match signal {
            StopSignal::Stop => request_stop(running, stop_signal),
            StopSignal::Kill => {
                if !running.process.stop_grace.is_zero() {
                    let (name, grace) = (&running.process.name, running.process.stop_grace);
                    log::warn!("{name} didn't exit within {grace:?} after {stop_signal}");
                }
                request_stop(running, Signal::SIGKILL);
            }
        }
    }

    /// Sets the current instances, and removes those that the reducer has removed.
    fn set_order(&self, order: Vec<InstanceId>) {
        *self.order.borrow_mut() = order;
        let reducer = self.reducer.borrow();
        self.planned.borrow_mut().retain(|id, _| reducer.instance_state(*id).is_some());
    }
}
