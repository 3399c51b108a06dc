//! The conformance kit: runs a component, ours or a third party's, through hosts that don't exist,
//! and says by name what it does that a real one can't live with. Nothing is started and nothing
//! written; it needs no root.
//!
//! ```
//! # use kubernix_core::{Binary, Component, Context, Phase, Planner, Probe, Process, Result, Role, abi};
//! # struct Mine;
//! # impl Component for Mine {
//! #     fn name(&self) -> &str { "mine" }
//! #     fn phase(&self) -> Phase { Phase::ADDON }
//! #     fn provides(&self) -> Vec<Role> { vec!["mine".into()] }
//! #     fn binaries(&self) -> Vec<Binary> { vec!["mine".into()] }
//! #     fn plan(&self, ctx: &Context<'_>, plan: &mut Planner<'_>) -> Result<()> {
//! #         plan.process(Process::new("mine", ctx.executable("mine")?))?;
//! #         let url = format!("http://{}:8080", ctx.control_plane_ip()?);
//! #         plan.provide("mine", &url, Probe::http(format!("{url}/healthz")))
//! #     }
//! # }
//! // In a test of the crate that the component lies in:
//! kubernix_testkit::kit::assert_conforms(|| abi::component(Mine));
//! ```
//!
//! What each check demands is in [`checks`] and in `docs/conformance.md`. What can't be seen from
//! outside isn't checked: that a plan doesn't read the environment or the disk shows only where the
//! result differs.
//!
//! This module must not know any component, nor where components are loaded from.

mod bench;
mod checks;
mod context;
mod report;
mod taken;
mod turn;
mod watch;
mod world;

pub use checks::{Check, checks};
pub use report::{CheckResult, Outcome, Report};
pub use watch::observer;

use bench::Bench;
use kubernix_core::abi::Handle;
use kubernix_core::{Binary, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long a call may take: components only calculate, and a host's own limit is 10 s.
const LIMIT: Duration = Duration::from_secs(5);

/// What a manifest says of a component, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The roles that it can fill, in any order.
    pub provides: Vec<String>,
    /// The roles that it needs, in any order.
    pub requires: Vec<String>,
    /// The binaries that it runs, its own program first.
    pub binaries: Vec<Binary>,
}

type Make = dyn Fn() -> Result<Handle> + Send + Sync;

/// A component to be checked.
#[derive(Clone)]
pub struct Subject {
    make: Arc<Make>,
    limit: Duration,
    declared: Option<Declared>,
    version: Option<String>,
}

impl Subject {
    /// A component that is made like this. It is made more than once: instances must not know of
    /// each other.
    pub fn new(make: impl Fn() -> Result<Handle> + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), limit: LIMIT, declared: None, version: None }
    }

    /// What its manifest says, and the version that the library itself reports.
    #[must_use]
    pub fn declared(mut self, declared: Declared, version: impl Into<String>) -> Self {
        (self.declared, self.version) = (Some(declared), Some(version.into()));
        self
    }

    /// Another limit for each call.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// Runs every check. A component that hangs costs the threads that it hangs on, which are never
/// joined.
pub fn check(subject: &Subject) -> Report {
    let mut bench = Bench::new(subject.clone());
    let results = checks().iter().map(|check| CheckResult { id: check.id, outcome: (check.run)(&mut bench).into() });
    let checks = results.collect();
    let declared = bench.declared().map(|declared| declared.name.clone());
    let component = bench.said.as_ref().map(|said| said.name.clone()).or(declared);
    bench.close();
    Report { component: component.unwrap_or_else(|| "component without a name".into()), checks }
}

/// For the tests of a component's crate.
///
/// # Panics
/// The component doesn't conform; the message is the report.
pub fn assert_conforms(make: impl Fn() -> Handle + Send + Sync + 'static) {
    let report = check(&Subject::new(move || Ok(make())));
    assert!(report.passed(), "the component doesn't conform:\n{report}");
}
