//! From one set of instances to another while the cluster runs: only what differs is stopped and started, and what ran before
//! comes back where the new doesn't become ready.

use super::instance::Live;
use super::run::{search_path, with_plugins};
use super::{BootFailure, Cluster, InstanceState};
use crate::chain::chain;
use crate::control::Change;
use crate::events::Event;
use crate::graph;
use crate::plugins::Components;
use crate::process::end_all_patience;
use crate::root::Root;
use crate::sandbox::{Boot, BootFile};
use kubernix_core::{Role, Wait};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What goes and what comes.
struct Difference {
    stays: Vec<Rc<Live>>,
    goes: Vec<Rc<Live>>,
    comes: Vec<Rc<Live>>,
}

/// What an instance waits for, whichever of several it is that provides it.
fn needed(instance: &graph::Instance) -> impl Iterator<Item = (&Role, Wait)> {
    instance.needs.iter().map(|need| (&need.at.role, need.wait))
}

impl Cluster {
    /// Goes over to the boot of the change file. Says with its last event how it went.
    pub(super) async fn change(self: &Rc<Self>, root: &Root, built_in: &Components, asked: &Change) {
        let (result, restored) = match BootFile::read_change(root) {
            Err(error) => (Err(format!("the change can't be read: {error}")), true),
            Ok(next) => match self.difference(&next, built_in, asked.forced.as_deref()) {
                Err(error) => (Err(error), true),
                Ok(difference) => self.go_over(difference, &next, asked, root).await,
            },
        };
        match result {
            Ok(()) => self.emit(Event::Changed),
            Err(error) => self.emit(Event::ChangeFailed { error, restored }),
        }
    }

    fn difference(&self, next: &Boot, built_in: &Components, forced: Option<&str>) -> Result<Difference, String> {
        let components = with_plugins(built_in, &next.plugins)?;
        let environment = Arc::new(next.environment.clone());
        let planned = graph::plan(&components, &next.slots, &environment).map_err(|error| chain(&error))?;
        let mut goes = self.instances();
        let (mut stays, mut comes) = (Vec::new(), Vec::new());
        for new in planned {
            let same = |live: &Rc<Live>| {
                let old = &live.planned;
                (&old.instance, &old.component) == (&new.instance, &new.component)
                    && needed(old).eq(needed(&new))
                    && old.plan == new.plan
                    && live.is_off() == new.node.as_deref().is_some_and(|node| environment.is_off(node))
                    && forced != Some(&new.component)
            };
            match goes.iter().position(same) {
                Some(at) => stays.push(goes.remove(at)),
                None => comes.push(Rc::new(Live::new(Rc::new(new), &environment))),
            }
        }
        Ok(Difference { stays, goes, comes })
    }

    /// Returns how it went, and if badly, whether what ran before runs again.
    async fn go_over(
        self: &Rc<Self>,
        difference: Difference,
        next: &Boot,
        asked: &Change,
        root: &Root,
    ) -> (Result<(), String>, bool) {
        let Difference { stays, goes, comes } = difference;
        if let Err(error) = self.empty(&asked.removed).await {
            return (Err(error), true);
        }
        let path = search_path(&next.environment);
        let path = std::mem::replace(&mut self.spawner.borrow_mut().path, path);
        self.retire(&goes).await;
        self.end_nodes_without(&goes, stays.iter().chain(&comes)).await;
        self.call_back(&comes).await;
        let Err(failure) = self.bring(&stays, &comes, root).await else {
            self.say_off(&comes).await;
            let kept = BootFile::keep_change(root).map_err(|error| format!("the change can't be saved: {error}"));
            return (kept, false);
        };
        let mut error = chain(&failure);
        // The log's end comes once, with the failure itself.
        let first = failure.to_string();
        self.emit(Event::Warning { message: format!("{first}: going back to what ran before") });
        self.retire(&comes).await;
        self.end_nodes_without(&comes, stays.iter().chain(&goes)).await;
        self.spawner.borrow_mut().path = path;
        let old: Vec<_> = goes.iter().map(|live| Rc::new(Live::new(live.planned.clone(), &live.environment))).collect();
        let back = self.bring(&stays, &old, root).await;
        if let Err(failure) = &back {
            error += &format!("\nand what ran before doesn't come back: {}", chain(failure));
        }
        (Err(error), back.is_ok())
    }

    /// Ends instances in order; their roles aren't ready any more.
    async fn retire(&self, instances: &[Rc<Live>]) {
        self.end_all(instances).await;
        for live in instances {
            for endpoint in &live.planned.plan.provides {
                self.board.set(&live.planned.at(&endpoint.role), false);
            }
        }
    }

    /// Starts instances beside those that stay, and waits until all of them are ready.
    async fn bring(self: &Rc<Self>, stays: &[Rc<Live>], comes: &[Rc<Live>], root: &Root) -> Result<(), BootFailure> {
        *self.instances.borrow_mut() = stays.iter().chain(comes).cloned().collect();
        comes.iter().for_each(|live| self.let_run_commands(live));
        self.since.set(SystemTime::now());
        let limit = Duration::from_secs(self.boot.boot_timeout_s);
        let deadline = Instant::now() + limit;
        let unusable = |why| BootFailure::Step { step: "probes".into(), why, late: false };
        let api = self.api().map_err(unusable)?;
        let prober = self.prober(api.clone()).map_err(unusable)?;
        let all = async {
            tokio::try_join!(
                self.start_all(comes, &prober, root, deadline),
                self.load_pause_image(root),
                self.load_builds_of(stays),
                self.furnish(comes, api.as_ref(), root, deadline)
            )
        };
        let late =
            || BootFailure::TimedOut { waiting: self.late().iter().map(|live| live.name().to_owned()).collect() };
        let result = tokio::time::timeout_at(deadline + Duration::from_secs(1), all).await;
        end_all_patience();
        let result = result.map_err(|_| late()).and_then(|result| result.map(drop));
        if result.is_err() {
            let ended = comes.iter().filter(|live| live.state() == InstanceState::Waiting);
            ended.for_each(|live| live.set(InstanceState::Stopped));
        }
        result
    }
}
