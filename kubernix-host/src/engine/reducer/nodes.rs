//! Creates the nodes that instances need, with back-off, and ends those that no instance needs.

use super::instance::{MIN_BACKOFF, Slot, State, next_backoff};
use super::types::{Fault, Outcome, Time, Work, WorkId};
use super::{Phase, Reducer};
use std::time::Duration;

/// The state of a node that has its own namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Creating {
        work: WorkId,
        /// The delay before the next attempt, if this one fails.
        backoff: Duration,
    },
    Running,
    Ending(WorkId),
    /// Its creation failed. The next attempt is at this time.
    BackingOff {
        at: Time,
        backoff: Duration,
    },
}

impl Reducer {
    /// Creates a node, unless it is being created or ended.
    pub(super) fn request_node(&mut self, node: &str) {
        let backoff = match self.nodes.get(node) {
            None => MIN_BACKOFF,
            Some(Node::BackingOff { at, backoff }) if *at <= self.now => next_backoff(*backoff),
            Some(_) => return,
        };
        let work = self.begin(Work::CreateNode { node: node.to_owned() });
        self.nodes.insert(node.to_owned(), Node::Creating { work, backoff });
    }

    /// Ends nodes that no instance needs.
    pub(super) fn advance_nodes(&mut self) {
        if matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        let surplus: Vec<(String, Node)> = self
            .nodes
            .iter()
            .filter(|(name, _)| !self.is_needed(name))
            .map(|(name, node)| (name.clone(), *node))
            .collect();
        for (node, state) in surplus {
            match state {
                Node::Running => {
                    let work = self.begin(Work::EndNode { node: node.clone() });
                    self.nodes.insert(node, Node::Ending(work));
                }
                Node::BackingOff { .. } => drop(self.nodes.remove(&node)),
                // A node that is being created is ended afterwards.
                Node::Creating { .. } | Node::Ending(_) => {}
            }
        }
    }

    /// Whether nodes are being ended, or have to be.
    pub(super) fn has_surplus_nodes(&self) -> bool {
        self.nodes.iter().any(|(name, node)| matches!(node, Node::Ending(_)) || !self.is_needed(name))
    }

    fn is_needed(&self, node: &str) -> bool {
        self.instances.values().any(|one| one.spec.own_node.as_deref() == Some(node) && !one.is_at_rest())
    }

    /// Handles the exit of a node's init.
    pub(super) fn node_ended(&mut self, node: &str) {
        if self.nodes.get(node) == Some(&Node::Running) {
            self.nodes.remove(node);
        }
        // The effects of one-shot processes on the node are lost, so they have to run again.
        for instance in self.instances.values_mut().filter(|one| one.spec.own_node.as_deref() == Some(node)) {
            for (slot, process) in instance.slots.iter_mut().zip(&instance.spec.processes) {
                if process.one_shot && *slot == Slot::Finished {
                    *slot = Slot::Idle;
                }
            }
        }
    }

    /// Handles the result of creating or ending a node.
    pub(super) fn node_done(&mut self, name: &str, outcome: Outcome) {
        match (self.nodes.get(name), outcome) {
            (Some(Node::Creating { backoff, .. }), Outcome::Failed(fault)) => self.node_failed(name, *backoff, fault),
            (Some(Node::Creating { .. }), _) => {
                self.nodes.insert(name.to_owned(), Node::Running);
            }
            _ => {
                self.nodes.remove(name);
            }
        }
    }

    fn node_failed(&mut self, name: &str, backoff: Duration, fault: Fault) {
        self.nodes.insert(name.to_owned(), Node::BackingOff { at: self.now + backoff, backoff });
        let waiting = self.instances.iter().find(|(id, one)| {
            one.spec.own_node.as_deref() == Some(name)
                && one.state == State::Waiting
                && one.ready_at.is_none()
                && self.is_awaited(**id)
        });
        match waiting.map(|(_, one)| one.spec.name.clone()) {
            Some(instance) if !fault.transient => self.fail_bring_up(Some(instance), fault),
            _ => self.warn_of_retry(&fault.summary, backoff),
        }
    }
}
