//! Work that takes its time, by what the rules call it.

use super::perform::outcome;
use super::reducer::{Fault, InstanceId, Outcome, Work};
use super::{Cluster, StartFailure};
use std::rc::Rc;

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<StartFailure> for Fault {
    fn from(failure: StartFailure) -> Self {
        failure.fault()
    }
}

impl Cluster {
    /// Does a piece of work. It may be dropped at any await.
    pub(super) async fn work(self: &Rc<Self>, work: Work) -> Outcome {
        match work {
            Work::MakeNode { node } => outcome(self.make(&node).await),
            Work::EndNode { node } => {
                self.end_node(&node).await;
                Outcome::Ok
            }
            Work::Prepare { instance, first, until } => outcome(self.prepare(instance, first, until).await),
            Work::Probe { instance, endpoint, until } => outcome(self.probe(instance, endpoint, until).await),
            Work::Check { instance } => outcome(self.check(instance).await),
            Work::CheckProcess { process } => outcome(self.check_process(process).await),
            Work::BeforeStop { instance } => outcome(self.before_stop(instance).await),
            Work::LoadImages { instance } => match self.instance(instance) {
                Some(planned) => outcome(self.load_builds(&planned).await),
                None => gone(instance),
            },
            Work::Apply { instance, until } => outcome(self.apply(instance, until).await),
            Work::PauseImage => outcome(self.load_pause_image().await),
            Work::DefaultNamespace { until } => outcome(self.open_default_namespace(until).await),
            Work::Prune => {
                self.prune().await;
                Outcome::Ok
            }
            Work::SettleNodes => {
                self.settle_nodes().await;
                Outcome::Ok
            }
            Work::Plan { request } => match self.plan(request) {
                Ok(plan) => Outcome::Planned(Box::new(plan)),
                Err(why) => Outcome::Failed(Fault::new(why)),
            },
            Work::Drain { nodes } => outcome(self.drain(&nodes).await),
            Work::Uncordon { nodes } => {
                self.uncordon(&nodes).await;
                Outcome::Ok
            }
            Work::Service { off, on } => {
                self.tell_service(&off, &on).await;
                Outcome::Ok
            }
            Work::Commit { request } => outcome(self.commit(request).await),
            Work::Perform { request } => match self.perform_asked(request).await {
                Ok((reply, true)) => Outcome::Committed(Box::new(reply)),
                Ok((reply, false)) => Outcome::Answered(Box::new(reply)),
                Err(why) => Outcome::Failed(Fault::new(why)),
            },
        }
    }
}

fn gone(id: InstanceId) -> Outcome {
    Outcome::Failed(Fault::new(format!("instance {} is gone", id.0)))
}
