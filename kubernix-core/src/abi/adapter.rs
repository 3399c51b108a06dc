//! Carries a plain [`Component`] over the boundary: converts types, and lets no panic through.
//!
//! The catch runs in the component's own copy of std, which is why it can't be left to the host.

use super::{
    AbiCommand, AbiComponent, AbiContextRef, AbiError, AbiFinding, AbiParameter, AbiPlannerMut, AbiRequirement,
    AbiResult, strings,
};
use crate::{Component, Context, Error, ErrorKind, Phase, Planner, Result, Scope};
use abi_stable::std_types::{ROption, RStr, RString, RVec};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A component none of whose methods unwinds.
pub(super) struct Guarded<C>(ManuallyDrop<C>);

impl<C> Guarded<C> {
    pub(super) fn new(component: C) -> Self {
        Self(ManuallyDrop::new(component))
    }
}

/// What a panic said.
fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panicked without a message".to_owned(),
    };
    // Dropping a payload may panic as well.
    std::mem::forget(payload);
    text
}

fn guard<T>(method: &str, f: impl FnOnce() -> Result<T>) -> AbiResult<T> {
    let result = catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        Err(Error::new(ErrorKind::PANIC, panic_text(payload)).context(format!("`{method}` panicked")))
    });
    result.map_err(AbiError::from).into()
}

/// For methods that have no way to fail: garbage, which the host refuses by name.
fn guard_or<T>(fallback: T, f: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        panic_text(payload);
        fallback
    })
}

impl<C> Drop for Guarded<C> {
    fn drop(&mut self) {
        // SAFETY: nothing uses the value after this drop.
        let drop = || unsafe { ManuallyDrop::drop(&mut self.0) };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(drop)) {
            panic_text(payload);
        }
    }
}

impl<C: Component> AbiComponent for Guarded<C> {
    fn name(&self) -> RString {
        guard_or(RString::new(), || self.0.name().into())
    }

    fn title(&self) -> RString {
        guard_or(RString::new(), || self.0.title().into())
    }

    fn phase(&self) -> Phase {
        guard_or(Phase(0), || self.0.phase())
    }

    fn scope(&self) -> Scope {
        guard_or(Scope(0), || self.0.scope())
    }

    fn provides(&self) -> RVec<RString> {
        guard_or(RVec::new(), || self.0.provides().iter().map(|role| role.as_str().into()).collect())
    }

    fn requires(&self) -> RVec<AbiRequirement> {
        let convert = |r: crate::Requirement| AbiRequirement { role: r.role.as_str().into(), wait: r.wait };
        guard_or(RVec::new(), || self.0.requires().into_iter().map(convert).collect())
    }

    fn binaries(&self) -> RVec<RString> {
        guard_or(RVec::new(), || strings(&self.0.binaries()))
    }

    fn parameters(&self) -> RVec<AbiParameter> {
        let convert =
            |p: crate::Parameter| AbiParameter { name: p.name.into(), help: p.help.into(), default: p.default.into() };
        guard_or(RVec::new(), || self.0.parameters().into_iter().map(convert).collect())
    }

    fn plan(&self, ctx: &AbiContextRef<'_>, planner: &mut AbiPlannerMut<'_>) -> AbiResult<()> {
        guard("plan", || self.0.plan(&Context::new(ctx), &mut Planner::new(planner)))
    }

    fn preflight(&self, ctx: &AbiContextRef<'_>) -> AbiResult<RVec<AbiFinding>> {
        guard("preflight", || {
            let findings = self.0.preflight(&Context::new(ctx))?;
            Ok(findings.into_iter().map(|f| AbiFinding { fatal: f.fatal, message: f.message.into() }).collect())
        })
    }

    fn before_stop(&self, ctx: &AbiContextRef<'_>) -> AbiResult<()> {
        guard("before_stop", || self.0.before_stop(&Context::new(ctx)))
    }

    fn import_image(
        &self,
        ctx: &AbiContextRef<'_>,
        archive: RStr<'_>,
        name: RStr<'_>,
    ) -> AbiResult<ROption<AbiCommand>> {
        guard("import_image", || {
            let command = self.0.import_image(&Context::new(ctx), archive.as_str(), name.as_str())?;
            Ok(command.as_ref().map(AbiCommand::from).into())
        })
    }
}
