//! Shared code of the samples: a correct component, from which each sample differs in one aspect.
//!
//! Each sample is one file, whose first line names the check of the conformance kit that has to
//! catch it. It must not know that kit.

pub use kubernix_core::*;

/// The default description of a sample.
#[macro_export]
macro_rules! says {
    (name) => {
        fn name(&self) -> &str {
            "sample"
        }
    };
    (phase) => {
        fn phase(&self) -> $crate::Phase {
            $crate::Phase::ADDON
        }
    };
    (provides) => {
        fn provides(&self) -> Vec<$crate::Role> {
            vec!["sample".into()]
        }
    };
    (binaries) => {
        fn binaries(&self) -> Vec<$crate::Binary> {
            vec!["sample".into()]
        }
    };
    (plan) => {
        fn plan(&self, ctx: &$crate::Context<'_>, plan: &mut $crate::Planner<'_>) -> $crate::Result<()> {
            $crate::complete(ctx, plan, |process| process)
        }
    };
    ($($what:ident),+) => { $($crate::says!($what);)+ };
}

/// Exports a sample from a shared library. In tests many samples are in one binary, which may
/// export only one.
#[macro_export]
macro_rules! sample {
    ($component:expr) => {
        /// The component, wrapped for a host.
        #[cfg(test)]
        pub fn sample() -> $crate::abi::Handle {
            $crate::abi::component($component)
        }
        #[cfg(not(test))]
        kubernix_core::export_component!($component);
    };
}

/// The sample's process.
///
/// # Errors
/// The context has no such binary.
pub fn process(ctx: &Context<'_>) -> Result<Process> {
    Ok(Process::new("sample", ctx.executable("sample")?).arg(format!("--data={}/data", ctx.dir()?)))
}

/// Fills the sample's role, with a probe.
///
/// # Errors
/// The planner's error.
pub fn provide(ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
    let url = format!("http://{}:8080", ctx.control_plane_ip()?);
    plan.provide("sample", &url, Probe::http(format!("{url}/healthz")))
}

/// The complete plan, with a change to the process.
///
/// # Errors
/// An error of the context or the planner.
pub fn complete(ctx: &Context<'_>, plan: &mut Planner<'_>, change: impl FnOnce(Process) -> Process) -> Result<()> {
    plan.process(change(process(ctx)?))?;
    provide(ctx, plan)
}
