//! The deadlines of the reducer, and what happens when they are reached.

use super::bring_up::BringUp;
use super::instance::{Provision, Stage, State};
use super::nodes::Node;
use super::types::{InstanceId, Time};
use super::{Phase, Reducer};

impl Reducer {
    /// The time by which the next input is due. Without another input, it is a tick.
    pub fn deadline(&self) -> Option<Time> {
        if matches!(self.phase, Phase::Ended) {
            return None;
        }
        // A start that is due but hasn't begun waits for something other than time.
        let is_ahead = |at: Time| at > self.now;
        let mut times: Vec<Time> = Vec::new();
        for instance in self.instances.values() {
            match instance.state {
                State::BackingOff { at } if is_ahead(at) => times.push(at),
                State::Stopping(Stage::Signalled { kill_at: Some(at), .. }) => times.push(at),
                State::Ready | State::Unresponsive if self.checks_liveness(instance) => times.push(instance.next_check),
                _ => {}
            }
            times.extend(self.next_process_check(instance));
            if let Provision::Retry { at, .. } = instance.provision
                && is_ahead(at)
            {
                times.push(at);
            }
        }
        times.extend(self.nodes.values().filter_map(|node| match node {
            Node::BackingOff { at, .. } if is_ahead(*at) => Some(*at),
            _ => None,
        }));
        times.extend(self.bring_up().map(BringUp::latest));
        times.into_iter().min()
    }

    /// Does everything that is due now.
    pub(super) fn fire_timers(&mut self) {
        let now = self.now;
        let due: Vec<(InstanceId, State)> = self.instances.iter().map(|(id, one)| (*id, one.state)).collect();
        for (id, state) in due {
            match state {
                State::Stopping(Stage::Signalled { slot, kill_at: Some(at) }) if at <= now => {
                    self.kill_slot(id, slot);
                }
                State::Ready | State::Unresponsive => self.check_if_due(id),
                _ => {}
            }
            self.check_processes_if_due(id);
        }
        self.check_bring_up_timeout();
    }
}
