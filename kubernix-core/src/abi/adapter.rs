//! A component's side of the boundary: wraps a plain [`Component`], converts types and catches
//! panics.

use super::guard::{guard, guard_or};
use super::{
    AbiBinary, AbiCommand, AbiComponent, AbiContextRef, AbiFinding, AbiParameter, AbiPlannerMut, AbiRequirement,
    AbiResult, ComponentBox,
};
use crate::{Component, Context, Phase, Planner, Scope};
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{ROption, RStr, RString, RVec};
use std::mem::ManuallyDrop;

/// A component whose methods never unwind.
struct Guarded<C>(ManuallyDrop<C>);

/// Wraps a component so that it can cross the boundary. Its panics are caught from here on.
pub(super) fn boxed<C: Component>(component: C) -> ComponentBox {
    ComponentBox::from_value(Guarded(ManuallyDrop::new(component)), TD_Opaque)
}

impl<C> Drop for Guarded<C> {
    fn drop(&mut self) {
        // SAFETY: nothing uses the value after this drop.
        guard_or("drop", (), || unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

impl<C: Component> AbiComponent for Guarded<C> {
    fn name(&self) -> AbiResult<RString> {
        guard("name", || Ok(self.0.name().into()))
    }

    fn title(&self) -> AbiResult<RString> {
        guard("title", || Ok(self.0.title().into()))
    }

    fn phase(&self) -> AbiResult<Phase> {
        guard("phase", || Ok(self.0.phase()))
    }

    fn scope(&self) -> AbiResult<Scope> {
        guard("scope", || Ok(self.0.scope()))
    }

    fn provides(&self) -> AbiResult<RVec<RString>> {
        guard("provides", || Ok(self.0.provides().iter().map(|role| role.as_str().into()).collect()))
    }

    fn requires(&self) -> AbiResult<RVec<AbiRequirement>> {
        guard("requires", || Ok(self.0.requires().iter().map(AbiRequirement::from).collect()))
    }

    fn binaries(&self) -> AbiResult<RVec<AbiBinary>> {
        guard("binaries", || Ok(self.0.binaries().iter().map(AbiBinary::from).collect()))
    }

    fn parameters(&self) -> AbiResult<RVec<AbiParameter>> {
        guard("parameters", || Ok(self.0.parameters().into_iter().map(AbiParameter::from).collect()))
    }

    fn plan(&self, ctx: &AbiContextRef<'_>, planner: &mut AbiPlannerMut<'_>) -> AbiResult<()> {
        guard("plan", || self.0.plan(&Context::new(ctx), &mut Planner::new(planner)))
    }

    fn preflight(&self, ctx: &AbiContextRef<'_>) -> AbiResult<RVec<AbiFinding>> {
        guard("preflight", || Ok(self.0.preflight(&Context::new(ctx))?.into_iter().map(AbiFinding::from).collect()))
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

    fn remove_image(&self, ctx: &AbiContextRef<'_>, name: RStr<'_>) -> AbiResult<ROption<AbiCommand>> {
        guard("remove_image", || {
            let command = self.0.remove_image(&Context::new(ctx), name.as_str())?;
            Ok(command.as_ref().map(AbiCommand::from).into())
        })
    }
}
