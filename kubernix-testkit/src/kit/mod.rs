//! The conformance kit: calls a component like a host does and reports, by the name of a check,
//! each behaviour that a real host can't work with. Nothing is started or written, and no root is
//! needed.
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
//! [`checks`] and `docs/conformance.md` list the requirement of each check. The kit can only check
//! what is visible from outside: a plan that reads the environment or the disk is found only if its
//! result differs.
//!
//! This module must not know any component, or where components are loaded from.

mod bench;
mod checks;
mod context;
mod fault;
mod recorder;
mod report;
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

/// The time limit of a call. Components only calculate, and a host's own limit is 10 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A component's description in its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The roles that it provides, in any order.
    pub provides: Vec<String>,
    /// The roles that it needs, in any order.
    pub requires: Vec<String>,
    /// The binaries that it runs, its own program first.
    pub binaries: Vec<Binary>,
}

type Make = dyn Fn() -> Result<Handle> + Send + Sync;

/// A component to check.
#[derive(Clone)]
pub struct Subject {
    make: Arc<Make>,
    limit: Duration,
    declared: Option<Declared>,
    version: Option<String>,
}

impl Subject {
    /// A component that this function creates. It is called more than once, and its instances must
    /// not share state.
    pub fn new(make: impl Fn() -> Result<Handle> + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), limit: CALL_TIMEOUT, declared: None, version: None }
    }

    /// Also compares the component with its manifest, and with the version that the library itself
    /// reports.
    #[must_use]
    pub fn declared(mut self, declared: Declared, version: impl Into<String>) -> Self {
        (self.declared, self.version) = (Some(declared), Some(version.into()));
        self
    }

    /// Sets the time limit of each call.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// Runs every check. Threads in which a component hangs are never joined.
pub fn check(subject: &Subject) -> Report {
    let mut bench = Bench::new(subject.clone());
    let results = checks().iter().map(|check| CheckResult { id: check.id, outcome: (check.run)(&mut bench).into() });
    let checks = results.collect();
    let declared = bench.declared().map(|declared| declared.name.clone());
    let component = bench.description.as_ref().map(|description| description.name.clone()).or(declared);
    bench.close();
    Report { component: component.unwrap_or_else(|| "component without a name".into()), checks }
}

/// Runs every check in a test of a component's crate.
///
/// # Panics
/// The component doesn't conform; the message is the report.
pub fn assert_conforms(make: impl Fn() -> Handle + Send + Sync + 'static) {
    let report = check(&Subject::new(move || Ok(make())));
    assert!(report.passed(), "the component doesn't conform:\n{report}");
}
