//! Caught by `modes-closed`: every user may write its config.
//!
//! `Planner` has no method for this, so it calls the host's object directly, like a component that
//! isn't built with kubernix-core.

use kubernix_core::abi::{
    AbiBinary, AbiCommand, AbiComponent, AbiContextRef, AbiFinding, AbiParameter, AbiPlannerMut, AbiRequirement,
    AbiResult, ComponentBox,
};
use kubernix_core::abi_stable::sabi_trait::TD_Opaque;
use kubernix_core::abi_stable::std_types::{ROption, RResult, RStr, RString, RVec};
use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl AbiComponent for Sample {
    fn name(&self) -> AbiResult<RString> {
        RResult::ROk("sample".into())
    }

    fn title(&self) -> AbiResult<RString> {
        self.name()
    }

    fn phase(&self) -> AbiResult<Phase> {
        RResult::ROk(Phase::ADDON)
    }

    fn scope(&self) -> AbiResult<Scope> {
        RResult::ROk(Scope::CLUSTER)
    }

    fn provides(&self) -> AbiResult<RVec<RString>> {
        RResult::ROk(vec!["sample".into()].into())
    }

    fn requires(&self) -> AbiResult<RVec<AbiRequirement>> {
        RResult::ROk(RVec::new())
    }

    fn binaries(&self) -> AbiResult<RVec<AbiBinary>> {
        RResult::ROk(vec![AbiBinary::from(&"sample".into())].into())
    }

    fn parameters(&self) -> AbiResult<RVec<AbiParameter>> {
        RResult::ROk(RVec::new())
    }

    fn plan(&self, ctx: &AbiContextRef<'_>, planner: &mut AbiPlannerMut<'_>) -> AbiResult<()> {
        let config = Context::new(ctx).dir().map(|dir| format!("{dir}/sample.conf"));
        let written = config.and_then(|config| {
            planner.file(config.as_str().into(), "".into(), 0o666).into_result().map_err(Error::from)
        });
        let planned = written.and_then(|()| complete(&Context::new(ctx), &mut Planner::new(planner), |p| p));
        planned.map_err(Into::into).into()
    }

    fn preflight(&self, _: &AbiContextRef<'_>) -> AbiResult<RVec<AbiFinding>> {
        RResult::ROk(RVec::new())
    }

    fn before_stop(&self, _: &AbiContextRef<'_>) -> AbiResult<()> {
        RResult::ROk(())
    }

    fn import_image(&self, _: &AbiContextRef<'_>, _: RStr<'_>, _: RStr<'_>) -> AbiResult<ROption<AbiCommand>> {
        RResult::ROk(ROption::RNone)
    }

    fn remove_image(&self, _: &AbiContextRef<'_>, _: RStr<'_>) -> AbiResult<ROption<AbiCommand>> {
        RResult::ROk(ROption::RNone)
    }
}

/// The component, wrapped for a host.
#[cfg(test)]
pub fn sample() -> abi::Handle {
    ComponentBox::from_value(Sample, TD_Opaque).into()
}
