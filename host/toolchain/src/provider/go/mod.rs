//! Provider `go`: builds tools from pinned Go modules, checksummed by go.sum.
//!
//! All tools of a pin module are built by one `go build`, in a directory of their own in the cache.
//! They are published once they report the right version. It must not use the caller's working
//! directory or Go workspace.

mod build;
mod compiler;

use crate::command::RunError;
use crate::interrupt;
use crate::needs;
use crate::provider::cache::{self, BuildDir};
use crate::provider::{Found, Offer, OnResult, Provider, Session, Wanted};
use crate::table::ToolSpec;
use build::{Build, BuildError};
use compiler::{Compiler, CompilerError};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::error::Error;

/// Builds from Go modules. Searches the Go compiler once.
#[derive(Default)]
pub struct Go {
    compiler: OnceCell<Result<Compiler, CompilerError>>,
}

impl Provider for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer {
        let Some(spec) = wanted.spec else { return Offer::NotApplicable };
        let Some(pins) = spec.go.as_deref().and_then(|module| session.table.pins(module)) else {
            return Offer::NotApplicable;
        };
        let required = pins.go_version();
        match self.compiler.get_or_init(|| Compiler::find(session)) {
            Err(error) => {
                Offer::unavailable(format!("{error}; building it takes Go {required} or newer, see https://go.dev/dl"))
            }
            Ok(compiler) => match compiler.rejection(&required) {
                Some(reason) => Offer::unavailable(reason),
                None => Offer::Available { packages: needs::missing_packages(session.table.needs(spec), session) },
            },
        }
    }

    fn supply(&self, wanted: &[Wanted<'_>], session: &Session<'_>, on_result: &mut OnResult<'_>) {
        let mut modules: BTreeMap<&str, Vec<Job<'_>>> = BTreeMap::new();
        for (index, Wanted { name, spec }) in wanted.iter().enumerate() {
            match (spec, spec.and_then(|spec| spec.go.as_deref())) {
                (Some(spec), Some(module)) => modules.entry(module).or_default().push(Job { index, name, spec }),
                _ => on_result(index, Err(&BuildError::NoModule)),
            }
        }
        for (module, jobs) in modules {
            match self.compiler.get_or_init(|| Compiler::find(session)) {
                Ok(compiler) => build_module(compiler, module, jobs, session, on_result),
                Err(error) => fail(&jobs, error, on_result),
            }
        }
    }
}

/// A tool to build.
struct Job<'a> {
    /// Its index among the requested tools.
    index: usize,
    name: &'a str,
    spec: &'a ToolSpec,
}

/// Reports the same failure for several tools.
fn fail(jobs: &[Job<'_>], error: &dyn Error, on_result: &mut OnResult<'_>) {
    jobs.iter().for_each(|job| on_result(job.index, Err(error)));
}

/// Builds tools of one pin module.
fn build_module(
    compiler: &Compiler,
    name: &str,
    mut jobs: Vec<Job<'_>>,
    session: &Session<'_>,
    on_result: &mut OnResult<'_>,
) {
    if interrupt::received() {
        return fail(&jobs, &RunError::Interrupted, on_result);
    }
    let (Some(module), Some(pins)) = (session.table.go.get(name), session.table.pins(name)) else {
        return fail(&jobs, &BuildError::NoPins(name.to_owned()), on_result);
    };
    let on_wait = || session.reporter.note(format!("another kubernix builds {name}: waiting for it"));
    let directory = match BuildDir::create(&session.dir, name, on_wait) {
        Ok(directory) => directory,
        Err(cause) => return fail(&jobs, &BuildError::Cache { path: session.dir.clone(), cause }, on_result),
    };
    // The process that had the lock before may have built the same tools.
    jobs.retain(|job| match cache::look_up(job.name, job.spec, session) {
        Some(found) => {
            on_result(job.index, Ok(&found));
            false
        }
        None => true,
    });
    let build = Build { compiler, module, required: pins.go_version(), dir: directory.path(), session };
    if let Err(error) = build.write_pins(pins) {
        return fail(&jobs, &error, on_result);
    }
    let (c, go): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.spec.c_sources.is_some());
    let label = if let [only] = &go[..] { only.name } else { name };
    match build.go_build(label, &go) {
        Ok(()) => go.iter().for_each(|job| report(job, build.finish(job), on_result)),
        Err(error) => fail(&go, &error, on_result),
    }
    for job in c {
        report(&job, build.cc(&job).and_then(|()| build.finish(&job)), on_result);
    }
}

fn report(job: &Job<'_>, result: Result<Found, BuildError>, on_result: &mut OnResult<'_>) {
    match result {
        Ok(found) => on_result(job.index, Ok(&found)),
        Err(error) => on_result(job.index, Err(&error)),
    }
}
