//! A component whose constructor panics.

use kubernix_core::{Component, Context, Phase, Planner, Result, Role};

/// The component.
pub struct Stillborn;

impl Stillborn {
    /// Panics.
    pub fn new() -> Self {
        panic!("not today")
    }
}

impl Component for Stillborn {
    fn name(&self) -> &str {
        "stillborn"
    }

    fn phase(&self) -> Phase {
        Phase::ADDON
    }

    fn provides(&self) -> Vec<Role> {
        vec!["dns".into()]
    }

    fn plan(&self, _: &Context<'_>, _: &mut Planner<'_>) -> Result<()> {
        Ok(())
    }
}
