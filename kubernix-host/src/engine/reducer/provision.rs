//! Loads the images of instances and applies their objects, and retries after failures.

use super::instance::{Provision, State, next_backoff};
use super::types::{Fault, InstanceId, Outcome, Work};
use super::{Phase, Reducer};

impl Reducer {
    /// Starts the next work for the images and objects of an instance, if its requirements are met.
    pub(super) fn advance_provision(&mut self, id: InstanceId) {
        let until = self.deadline_of(id);
        let is_in_order = self.order.contains(&id);
        let Some(instance) = self.get(id) else { return };
        if !is_in_order
            || matches!(instance.state, State::Stopping(_) | State::Stopped)
            || matches!(self.phase, Phase::Stopping(_))
        {
            return;
        }
        let (has_builds, has_manifests) = (instance.spec.has_builds, instance.spec.has_manifests);
        let next = match instance.provision {
            Provision::Images { objects } if !has_builds => after_images(objects),
            Provision::Images { objects } if self.runtimes_are_ready() => {
                let work = self.begin(Work::LoadImages { instance: id });
                Provision::LoadingImages { work, objects }
            }
            Provision::Objects if !has_manifests => Provision::Done,
            Provision::Objects if self.api().is_none() => {
                let fault = Fault::new("the cluster has no API server");
                return self.provision_failed(id, fault, false, true);
            }
            Provision::Objects if self.api_is_ready() => {
                Provision::Applying(self.begin(Work::Apply { instance: id, until }))
            }
            Provision::Retry { at, images, objects } if at <= self.now => {
                if images {
                    Provision::Images { objects }
                } else {
                    Provision::Objects
                }
            }
            _ => return,
        };
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.provision = next;
        }
        // The next stage may have nothing to do either.
        self.advance_provision(id);
    }

    /// Handles the result of loading images or applying objects.
    pub(super) fn provisioned(&mut self, id: InstanceId, outcome: Outcome) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let (was_images, objects) = match instance.provision {
            Provision::LoadingImages { objects, .. } => (true, objects),
            _ => (false, true),
        };
        match outcome {
            Outcome::Failed(fault) => self.provision_failed(id, fault, was_images, objects),
            _ => {
                instance.provision = if was_images { after_images(objects) } else { Provision::Done };
                if instance.state == State::Ready {
                    instance.reason = None;
                }
            }
        }
    }

    fn provision_failed(&mut self, id: InstanceId, fault: Fault, images: bool, objects: bool) {
        let (is_awaited, now) = (self.is_awaited(id), self.now);
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let what = if images { "images" } else { "manifests" };
        let detail = format!("{what} of {} failed: {}", instance.spec.name, fault.detail);
        // Set in any case: an instance that stays after a failed change retries.
        let backoff = instance.provision_backoff;
        instance.provision_backoff = next_backoff(backoff);
        instance.provision = Provision::Retry { at: now + backoff, images, objects };
        if is_awaited {
            return self.fail_bring_up(None, Fault { summary: detail.clone(), detail, ..fault });
        }
        instance.reason = Some(detail.clone());
        self.warn_of_retry(&detail, backoff);
    }

    pub(super) fn cancel_provision(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let work = instance.provision.work();
        instance.provision = Provision::Done;
        if let Some(work) = work {
            self.cancel_work(work);
        }
    }
}

fn after_images(objects: bool) -> Provision {
    if objects { Provision::Objects } else { Provision::Done }
}
