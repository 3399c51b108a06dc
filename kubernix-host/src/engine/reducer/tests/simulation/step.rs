//! Applies incidents: signals, dying nodes, requests and orders.

use super::history::Incident;
use super::model::{Model, Scheduled};
use crate::engine::reducer::{Input, ProcessId, RequestId, RequestKind};

impl Model {
    pub(super) fn resume(&mut self) {
        self.hung.clear();
        for process in std::mem::take(&mut self.signalled) {
            self.after(1, Scheduled::End(process, true));
        }
    }

    fn nth_process(&self, n: usize) -> Option<ProcessId> {
        self.running.iter().nth(n.checked_rem(self.running.len())?).copied()
    }

    pub(super) fn step(&mut self, incident: Incident) -> Result<(), String> {
        match incident {
            Incident::Crash(n) => self.nth_process(n).map_or(Ok(()), |process| self.end(process, false)),
            Incident::Hang(n) => {
                self.hung.extend(self.nth_process(n));
                Ok(())
            }
            Incident::Resume => {
                self.resume();
                Ok(())
            }
            Incident::EndNode(n) => self.end_node(n),
            Incident::Change { plan, stale } => {
                let request = RequestId(self.answers.len() as u64);
                self.plans.insert(request, (plan, None));
                let base = self.reducer.revision() - u64::from(stale);
                self.request(RequestKind::Change { base })
            }
            Incident::Exclusive => self.request(RequestKind::Exclusive),
            Incident::Copy => {
                self.copies.insert(RequestId(self.answers.len() as u64));
                self.request(RequestKind::Copy)
            }
            Incident::Report { check } => self.request(RequestKind::Report { check }),
            Incident::Cancel(back) => {
                let request = (self.answers.len() as u64).checked_sub(1 + back as u64);
                request.map_or(Ok(()), |request| self.feed(Input::Cancel(RequestId(request))))
            }
            Incident::AbortBoot => self.feed(Input::AbortBoot),
            Incident::KillBoot => self.feed(Input::KillBoot),
            Incident::StopRequest => {
                self.is_end_ordered = true;
                self.request(RequestKind::Stop)
            }
            Incident::Stop => self.order(Input::Stop),
            Incident::Kill => self.order(Input::Kill),
            Incident::KeeperGone => self.order(Input::KeeperGone),
        }
    }

    fn order(&mut self, end: Input) -> Result<(), String> {
        self.is_end_ordered = true;
        self.feed(end)
    }

    fn request(&mut self, kind: RequestKind) -> Result<(), String> {
        let request = RequestId(self.answers.len() as u64);
        self.answers.insert(request, 0);
        self.feed(Input::Request(request, kind))
    }

    fn end_node(&mut self, n: usize) -> Result<(), String> {
        let count = self.nodes.len();
        let Some(node) = n.checked_rem(count).and_then(|n| self.nodes.iter().nth(n).cloned()) else { return Ok(()) };
        let on_it: Vec<ProcessId> = self.running.iter().filter(|one| self.is_on(**one, &node)).copied().collect();
        self.nodes.remove(&node);
        // The reaper may see the exits of the node's init and its processes in any order.
        let node_first = n.is_multiple_of(2);
        if node_first {
            self.feed(Input::NodeEnded(node.clone()))?;
        }
        for process in on_it {
            if self.exit.is_none() && self.running.contains(&process) {
                self.end(process, false)?;
            }
        }
        if node_first || self.exit.is_some() { Ok(()) } else { self.feed(Input::NodeEnded(node)) }
    }
}
