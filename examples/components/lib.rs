//! What the samples share: a component that is right in every way, to differ from in one.
//!
//! Each sample is one file, and says in its first line which check of the conformance kit must
//! catch it. It must not know that kit.

pub use kubernix_core::*;

/// What a sample says of itself where it has nothing else to say.
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

/// Makes a sample a shared library where it is built as one. In tests many are in one binary, which
/// may export one only.
#[macro_export]
macro_rules! sample {
    ($component:expr) => {
        /// The component, ready for a host.
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
/// What the planner says.
pub fn provide(ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
    let url = format!("http://{}:8080", ctx.control_plane_ip()?);
    plan.provide("sample", &url, Probe::http(format!("{url}/healthz")))
}

/// The whole plan, with a change to the process.
///
/// # Errors
/// What the context and the planner say.
pub fn complete(ctx: &Context<'_>, plan: &mut Planner<'_>, change: impl FnOnce(Process) -> Process) -> Result<()> {
    plan.process(change(process(ctx)?))?;
    provide(ctx, plan)
}
