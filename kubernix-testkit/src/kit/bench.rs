//! The component under test, and what is known of it so far: checks build on each other, and one
//! that fails must not make the next ones fail as well.

use super::context::KitContext;
use super::report::{Stop, failed, skipped};
use super::taken::{Taken, Taker};
use super::turn::Refused;
use super::watch::{self, Call};
use super::world::World;
use super::{Declared, Subject};
use crate::FakeContext;
use kubernix_core::abi::{Description, Handle};
use kubernix_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long making an instance may take: a library may be loaded for it, and its layout checked.
const MAKING: Duration = Duration::from_secs(30);

/// A plan, and the context that it was made for.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) world: World,
    pub(super) context: Arc<KitContext>,
    pub(super) plan: Taken,
}

/// What came of a plan for which one call was refused.
pub(super) struct Walked {
    pub(super) refused: Refused,
    pub(super) outcome: Result<(), Error>,
}

/// The component under test.
pub(super) struct Bench {
    pub(super) subject: Subject,
    /// Every instance that was made: where they are dropped is a check of its own.
    instances: Vec<Arc<Handle>>,
    pub(super) said: Option<Description>,
    pub(super) alpha: Option<Planned>,
    pub(super) beta: Option<Planned>,
    pub(super) walked: Option<Vec<Walked>>,
}

impl Bench {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, instances: Vec::new(), said: None, alpha: None, beta: None, walked: None }
    }

    /// What its manifest says.
    pub(super) fn declared(&self) -> Option<&Declared> {
        self.subject.declared.as_ref()
    }

    /// Another instance.
    pub(super) fn make(&mut self) -> Result<Arc<Handle>, Stop> {
        let make = self.subject.make.clone();
        match watch::start(move || make()).end(MAKING) {
            Ok((Ok(handle), _)) => {
                let handle = Arc::new(handle);
                self.instances.push(handle.clone());
                Ok(handle)
            }
            Ok((Err(error), _)) => failed(format!("it can't be made: {}", text(&error))),
            Err(why) => failed(format!("making it {why}")),
        }
    }

    /// The first instance.
    pub(super) fn first(&mut self) -> Result<Arc<Handle>, Stop> {
        match self.instances.first() {
            Some(first) => Ok(first.clone()),
            None => self.make(),
        }
    }

    /// What it says of itself, for checks that need it.
    pub(super) fn said(&self) -> Result<Description, Stop> {
        self.said.clone().ok_or_else(|| Stop::Skipped("it doesn't say what it is".into()))
    }

    /// Its plan in the first world, for checks that need it.
    pub(super) fn alpha(&self) -> Result<Planned, Stop> {
        self.alpha.clone().map_or_else(|| skipped("it has no plan"), Ok)
    }

    /// Its plan in the second world.
    pub(super) fn beta(&self) -> Result<Planned, Stop> {
        self.beta.clone().map_or_else(|| skipped("it has no plan for another context"), Ok)
    }

    /// What a host in a world knows, for this component.
    pub(super) fn world(&self, world: World) -> Result<FakeContext, Stop> {
        Ok(world.context(&self.said()?))
    }

    /// Calls the first instance, which has to return in time. A panic that it returns is a failure.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        method: &str,
        f: impl FnOnce(&Handle) -> Result<T> + Send + 'static,
    ) -> Result<Result<T>, Stop> {
        let handle = self.first()?;
        self.end(method, start(handle, f))
    }

    /// Waits for a call. A panic is a failure.
    pub(super) fn end<T>(&self, method: &str, call: Call<Result<T>>) -> Result<Result<T>, Stop> {
        match call.end(self.subject.limit) {
            Ok((Err(error), _)) if error.kind() == ErrorKind::PANIC => failed(text(&error)),
            Ok((result, _)) => Ok(result),
            Err(why) => failed(format!("`{method}` {why}")),
        }
    }

    /// A plan in this context.
    pub(super) fn plan(&mut self, context: &Arc<KitContext>) -> Result<Result<Taken>, Stop> {
        let handle = self.first()?;
        self.end("plan", start_plan(handle, context.clone()))
    }

    /// A plan that has to be there.
    pub(super) fn planned(&mut self, context: &Arc<KitContext>) -> Result<Taken, Stop> {
        self.plan(context)?.or_else(|error| failed(format!("`plan` says: {}", text(&error))))
    }

    /// Lets go of an instance and says what panicked on the way.
    pub(super) fn drop_one(&mut self, handle: Arc<Handle>) -> Result<Vec<String>, Stop> {
        self.instances.retain(|other| !Arc::ptr_eq(other, &handle));
        let limit = self.subject.limit;
        let (last, panics) = watch::start(move || Arc::into_inner(handle).map(drop).is_some())
            .end(limit)
            .or_else(|why| failed(format!("its drop {why}")))?;
        if last { Ok(panics) } else { skipped("a call into it never returned") }
    }

    /// Lets go of all instances. What they do then was checked before.
    pub(super) fn close(self) {
        let (instances, limit) = (self.instances, self.subject.limit);
        let _ = watch::start(move || drop(instances)).end(limit);
    }
}

/// Starts a call of an instance.
pub(super) fn start<T: Send + 'static>(
    handle: Arc<Handle>,
    f: impl FnOnce(&Handle) -> Result<T> + Send + 'static,
) -> Call<Result<T>> {
    watch::start(move || f(&handle))
}

/// Starts to plan.
pub(super) fn start_plan(handle: Arc<Handle>, context: Arc<KitContext>) -> Call<Result<Taken>> {
    start(handle, move |component| {
        let mut taker = Taker::new(context.turn.clone());
        component.plan(&*context, &mut taker).map(|()| taker.taken)
    })
}

/// An error with its causes.
pub(super) fn text(error: &Error) -> String {
    error.frames().join(": ")
}

/// The beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{:?}...", &text[..at]),
        None => format!("{text:?}"),
    }
}
