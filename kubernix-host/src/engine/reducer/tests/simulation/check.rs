//! The invariants after each input, and at the end of a history.

use super::model::Model;
use crate::engine::reducer::instance::{Slot, State};
use crate::engine::reducer::{Node, Phase, ProcessId, WorkId};
use crate::engine::{ClusterState, InstanceState};

impl Model {
    /// Checks the invariants after each input.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Phase::Ended = self.reducer.phase {
            return if self.works.is_empty() { Ok(()) } else { Err(format!("active work: {:?}", self.works)) };
        }
        self.check_works()?;
        self.check_processes()?;
        self.check_disk()
    }

    /// Checks that all active work belongs to the state.
    fn check_works(&self) -> Result<(), String> {
        if !self.works.keys().eq(self.reducer.works.iter()) {
            return Err(format!("work {:?} is active, the reducer knows {:?}", self.works, self.reducer.works));
        }
        match self.works.iter().find(|(id, _)| !self.is_owned(**id)) {
            Some((id, work)) => Err(format!("{id:?} {work:?} belongs to nothing")),
            None => Ok(()),
        }
    }

    fn is_owned(&self, work: WorkId) -> bool {
        let reducer = &self.reducer;
        let of_change = || match &reducer.phase {
            Phase::Changing(change) => change.works().contains(&work),
            _ => false,
        };
        reducer.owner_of(work).is_some()
            || reducer.nodes.values().any(|node| match node {
                Node::Creating { work: id, .. } | Node::Ending(id) => *id == work,
                _ => false,
            })
            || reducer.performing.is_some_and(|(_, id, _)| id == work)
            || reducer.restoring_nodes == Some(work)
            || reducer.committing.is_some_and(|(_, id)| id == work)
            || reducer.bring_up().is_some_and(|bring_up| bring_up.has(work))
            || of_change()
    }

    /// Checks that the running processes are those of the state, one for each slot.
    fn check_processes(&self) -> Result<(), String> {
        for process in &self.running {
            if self.slot(*process) != Some(Slot::Running) {
                return Err(format!("{process:?} runs, which its slot doesn't expect"));
            }
        }
        for process in &self.spawning {
            if self.slot(*process) != Some(Slot::Spawning) {
                return Err(format!("{process:?} is being spawned, which its slot doesn't expect"));
            }
        }
        let of_slots = self.reducer.instances.values().flat_map(|one| &one.slots);
        let expected = of_slots.filter(|slot| matches!(slot, Slot::Running | Slot::Spawning)).count();
        let actual = self.running.len() + self.spawning.len();
        if expected != actual {
            return Err(format!("{expected} processes are expected and {actual} exist"));
        }
        for one in self.reducer.instances.values() {
            let runs = one.slots.iter().any(|slot| matches!(slot, Slot::Running | Slot::Spawning));
            if runs && matches!(one.state, State::Off | State::Stopped | State::Waiting) {
                return Err(format!("{} is {:?}, but one of its processes runs", one.spec.name, one.state));
            }
            let ready = matches!(one.state, State::Ready | State::Unresponsive | State::Starting);
            if ready && one.slots.iter().any(|slot| matches!(slot, Slot::Idle | Slot::Spawning)) {
                return Err(format!("{} is {:?}, but one of its processes doesn't run", one.spec.name, one.state));
            }
        }
        Ok(())
    }

    fn slot(&self, process: ProcessId) -> Option<Slot> {
        let one = self.reducer.instances.get(&process.instance)?;
        one.slots.get(process.slot).copied().filter(|_| one.runs[process.slot] == process.run)
    }

    /// Checks that the state on disk is the committed one, except during a commit.
    fn check_disk(&self) -> Result<(), String> {
        if self.is_writing() {
            return Ok(());
        }
        if self.reducer.revision() != self.disk.revision {
            return Err(format!("revision {}, on disk {}", self.reducer.revision(), self.disk.revision));
        }
        let on_disk = self.disk.instances.iter().map(|(id, _)| id);
        if let Phase::Running = self.reducer.phase
            && !(on_disk.clone().eq(&self.reducer.order) && self.reducer.instances.len() == self.reducer.order.len())
        {
            return Err(format!("instances {:?}, on disk {:?}", self.reducer.order, on_disk.collect::<Vec<_>>()));
        }
        Ok(())
    }

    /// Checks the invariants after the world was healthy for long enough.
    pub(super) fn check_end(&self) -> Result<(), String> {
        if let Some((request, _)) = self.answers.iter().find(|(_, count)| **count != 1) {
            return Err(format!("{request:?} was answered {} times", self.answers[request]));
        }
        if self.exit.is_some() {
            return Ok(());
        }
        if self.is_end_ordered {
            return Err(format!("its end was ordered, but it is {:?}", self.reducer.state()));
        }
        self.is_healthy().then_some(()).ok_or_else(|| {
            let states: Vec<_> = self.reducer.instances().collect();
            format!("it isn't healthy: {:?} {states:?} nodes {:?}", self.reducer.state(), self.reducer.nodes)
        })
    }

    /// Whether the cluster is in its committed state and no work is active.
    pub(super) fn is_healthy(&self) -> bool {
        let ready = |state| matches!(state, InstanceState::Ready | InstanceState::Stopped);
        let is_needed = |node: &String| {
            let on_it = |(_, spec): &&(_, crate::engine::reducer::InstanceSpec)| spec.own_node.as_ref() == Some(node);
            self.disk.instances.iter().filter(on_it).any(|(_, spec)| !spec.off)
        };
        self.reducer.state() == ClusterState::Running
            && self.reducer.instances().all(|(_, state, _, _)| ready(state))
            && self.works.is_empty()
            && self.nodes.iter().all(is_needed)
    }
}
