//! Routes the result of work to the state that owns the work.

use super::Reducer;
use super::instance::{Instance, Stage, State};
use super::nodes::Node;
use super::types::{InstanceId, Outcome, WorkId};

impl Reducer {
    /// Handles the result of work.
    pub(super) fn done(&mut self, work: WorkId, outcome: Outcome) {
        // Work may have been abandoned after it sent its result.
        if !self.works.remove(&work) {
            return;
        }
        if let Some(name) = self.nodes.iter().find_map(|(name, node)| match node {
            Node::Creating { work: id, .. } | Node::Ending(id) if *id == work => Some(name.clone()),
            _ => None,
        }) {
            return self.node_done(&name, outcome);
        }
        if self.performing.is_some_and(|(_, id, _)| id == work) {
            return self.performed(outcome);
        }
        if let Some((request, _)) = self.committing.take_if(|(_, id)| *id == work) {
            return self.committed_during_stop(request, outcome);
        }
        if let Some(id) = self.owner_of(work) {
            return self.instance_done(id, work, outcome);
        }
        if self.bring_up().is_some_and(|bring_up| bring_up.has(work)) {
            return self.step_done(work, outcome);
        }
        self.change_done(work, outcome);
    }

    /// The instance that work belongs to.
    pub(super) fn owner_of(&self, work: WorkId) -> Option<InstanceId> {
        let owns = |one: &Instance| {
            matches!(one.state, State::Preparing(id) | State::Stopping(Stage::Hook(id)) if id == work)
                || one.probing.contains_key(&work)
                || one.check == Some(work)
                || one.checks.iter().any(|checks| checks.work == Some(work))
                || one.provision.work() == Some(work)
        };
        self.instances.iter().find(|(_, one)| owns(one)).map(|(id, _)| *id)
    }

    fn instance_done(&mut self, id: InstanceId, work: WorkId, outcome: Outcome) {
        let Some(instance) = self.get(id) else { return };
        if instance.check == Some(work) {
            return self.checked(id, work, &outcome);
        }
        if instance.checks.iter().any(|checks| checks.work == Some(work)) {
            return self.process_checked(id, work, &outcome);
        }
        if instance.provision.work() == Some(work) {
            return self.provisioned(id, outcome);
        }
        match (instance.state, outcome) {
            (State::Preparing(_), Outcome::Failed(fault)) => self.start_failed(id, fault),
            (State::Preparing(_), _) => self.spawn_all(id),
            (State::Stopping(Stage::Hook(_)), outcome) => self.hook_done(id, outcome),
            (_, outcome) => self.probed(id, work, outcome),
        }
    }
}
