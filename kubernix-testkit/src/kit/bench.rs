//! The component under test, with the results of earlier checks. A check that needs the result of a
//! failed one is skipped.

use super::context::KitContext;
use super::fault::FailedCall;
use super::recorder::{RecordedPlan, Recorder};
use super::report::{Stop, failed, skipped};
use super::watch::{self, Call};
use super::world::World;
use super::{Declared, Subject};
use crate::FakeContext;
use kubernix_core::abi::{Description, Handle};
use kubernix_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

/// The time limit for creating an instance, which may load a library and check its layout.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// A plan and its context.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) world: World,
    pub(super) context: Arc<KitContext>,
    pub(super) plan: RecordedPlan,
}

/// The outcome of a plan during which one call failed.
pub(super) struct FaultRun {
    pub(super) refused: FailedCall,
    pub(super) outcome: Result<(), Error>,
}

/// The component under test.
pub(super) struct Bench {
    pub(super) subject: Subject,
    /// All instances. They are kept until a check drops them.
    instances: Vec<Arc<Handle>>,
    pub(super) description: Option<Description>,
    pub(super) alpha: Option<Planned>,
    pub(super) beta: Option<Planned>,
    pub(super) fault_runs: Option<Vec<FaultRun>>,
}

impl Bench {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, instances: Vec::new(), description: None, alpha: None, beta: None, fault_runs: None }
    }

    /// Its manifest.
    pub(super) fn declared(&self) -> Option<&Declared> {
        self.subject.declared.as_ref()
    }

    /// Creates another instance.
    pub(super) fn make(&mut self) -> Result<Arc<Handle>, Stop> {
        let make = self.subject.make.clone();
        match watch::start(move || make()).end(CREATE_TIMEOUT) {
            Ok((Ok(handle), _)) => {
                let handle = Arc::new(handle);
                self.instances.push(handle.clone());
                Ok(handle)
            }
            Ok((Err(error), _)) => failed(format!("it can't be created: {}", text(&error))),
            Err(why) => failed(format!("its constructor {why}")),
        }
    }

    /// The first instance.
    pub(super) fn first(&mut self) -> Result<Arc<Handle>, Stop> {
        match self.instances.first() {
            Some(first) => Ok(first.clone()),
            None => self.make(),
        }
    }

    /// Its description, for checks that need it.
    pub(super) fn description(&self) -> Result<Description, Stop> {
        self.description.clone().ok_or_else(|| Stop::Skipped("it has no description".into()))
    }

    /// Its plan in the first world, for checks that need it.
    pub(super) fn alpha(&self) -> Result<Planned, Stop> {
        self.alpha.clone().map_or_else(|| skipped("it has no plan"), Ok)
    }

    /// Its plan in the second world.
    pub(super) fn beta(&self) -> Result<Planned, Stop> {
        self.beta.clone().map_or_else(|| skipped("it has no plan for another context"), Ok)
    }

    /// The context of this component in a world.
    pub(super) fn world(&self, world: World) -> Result<FakeContext, Stop> {
        Ok(world.context(&self.description()?))
    }

    /// Calls the first instance, which has to return in time. An error of a panic is a failure.
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

    /// Calls `plan` with this context.
    pub(super) fn plan(&mut self, context: &Arc<KitContext>) -> Result<Result<RecordedPlan>, Stop> {
        let handle = self.first()?;
        self.end("plan", start_plan(handle, context.clone()))
    }

    /// Calls `plan`, which has to succeed.
    pub(super) fn planned(&mut self, context: &Arc<KitContext>) -> Result<RecordedPlan, Stop> {
        self.plan(context)?.or_else(|error| failed(format!("`plan` fails: {}", text(&error))))
    }

    /// Drops an instance and returns the panics meanwhile.
    pub(super) fn drop_one(&mut self, handle: Arc<Handle>) -> Result<Vec<String>, Stop> {
        self.instances.retain(|other| !Arc::ptr_eq(other, &handle));
        let limit = self.subject.limit;
        let (last, panics) = watch::start(move || Arc::into_inner(handle).map(drop).is_some())
            .end(limit)
            .or_else(|why| failed(format!("its drop {why}")))?;
        if last { Ok(panics) } else { skipped("a call of it never returned") }
    }

    /// Drops all instances, without a check.
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

/// Starts a call of `plan`.
pub(super) fn start_plan(handle: Arc<Handle>, context: Arc<KitContext>) -> Call<Result<RecordedPlan>> {
    start(handle, move |component| {
        let mut recorder = Recorder::new(context.fault.clone());
        component.plan(&*context, &mut recorder).map(|()| recorder.plan)
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
