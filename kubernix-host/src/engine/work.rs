//! The asynchronous work of the reducer, dispatched to the modules that do it.

use super::Cluster;
use super::reducer::{Fault, Outcome, Work};
use std::error::Error;
use std::rc::Rc;

impl Cluster {
    /// Does a piece of work. The future may be dropped at any await.
    pub(super) async fn work(self: &Rc<Self>, work: Work) -> Outcome {
        match work {
            Work::CreateNode { node } => outcome(self.create_node(&node).await.map_err(fault)),
            Work::EndNode { node } => {
                self.end_node(&node).await;
                Outcome::Ok
            }
            Work::Prepare { instance, first, until } => outcome(self.prepare(instance, first, until).await),
            Work::Probe { instance, endpoint, until } => outcome(self.probe(instance, endpoint, until).await),
            Work::Check { instance } => outcome(self.check(instance).await.map_err(fault)),
            Work::CheckProcess { process } => outcome(self.check_process(process).await.map_err(fault)),
            Work::BeforeStop { instance } => outcome(self.before_stop(instance).await.map_err(fault)),
            Work::LoadImages { instance } => match self.instance(instance) {
                Some(planned) => outcome(self.load_builds(&planned).await.map_err(fault)),
                None => Outcome::Failed(Fault::new("the instance was removed")),
            },
            Work::Apply { instance, until } => outcome(self.apply(instance, until).await),
            Work::LoadPauseImage => outcome(self.load_pause_image().await.map_err(fault)),
            Work::CreateDefaultNamespace { until } => outcome(self.create_default_namespace(until).await),
            Work::Prune => {
                self.prune().await;
                Outcome::Ok
            }
            Work::RestoreNodes => {
                self.restore_nodes().await;
                Outcome::Ok
            }
            Work::Plan { request } => match self.plan(request) {
                Ok(plan) => Outcome::Planned(Box::new(plan)),
                Err(error) => Outcome::Failed(fault(error)),
            },
            Work::Drain { nodes } => outcome(self.drain(&nodes).await.map_err(fault)),
            Work::Uncordon { nodes } => {
                self.uncordon(&nodes).await;
                Outcome::Ok
            }
            Work::MarkNodes { off, on } => {
                self.mark_nodes(&off, &on).await;
                Outcome::Ok
            }
            Work::Commit { request } => outcome(self.commit(request).await.map_err(fault)),
            Work::Perform { request } => match self.perform_request(request).await {
                Ok((reply, true)) => Outcome::Committed(Box::new(reply)),
                Ok((reply, false)) => Outcome::Answered(Box::new(reply)),
                Err(error) => Outcome::Failed(fault(error)),
            },
        }
    }
}

fn outcome(result: Result<(), impl Into<Fault>>) -> Outcome {
    match result {
        Ok(()) => Outcome::Ok,
        Err(error) => Outcome::Failed(error.into()),
    }
}

fn fault(error: impl Error + 'static) -> Fault {
    Fault::of(&error)
}
