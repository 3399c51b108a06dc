//! End-to-end tests: functions with a name, a lane and the parts of the cluster that they run
//! against.

use crate::lanes::{Lane, Lanes};
use crate::network::{OUTSIDE, World};
use crate::parts::Parts;
use crate::skip::unfit;
use kubernix_testkit::report_skip;
use libtest_mimic::{Arguments, Conclusion, Trial};
use std::sync::Arc;
use std::time::Instant;

/// A test of a cluster of these parts.
pub type Check = fn(Parts);

/// Set by `cargo xtask test --all`, to run the long cases as well.
const ALL: &str = "KUBERNIX_TEST_ALL";

/// An end-to-end test.
#[derive(Debug, Clone)]
pub struct Test {
    /// `state::stop_and_up_keep_objects::crio-etcd`: module, function and parts.
    pub name: String,
    /// Which tests may run at the same time.
    pub lane: Lane,
    /// The parts of its cluster.
    pub parts: Parts,
    check: Check,
}

/// Functions with their full paths, for [`each`] and [`once`].
#[macro_export]
macro_rules! checks {
    ($($(#[$meta:meta])* $check:path),+ $(,)?) => {
        [$((concat!(module_path!(), "::", stringify!($check)), $check as _)),+]
    };
}

/// Each of these tests for each of these parts.
pub fn each(lane: Lane, parts: &[Parts], checks: &[(&str, Check)]) -> Vec<Test> {
    let test = |parts: Parts, path: &str, check: Check| Test {
        name: format!("{}::{}", name_of(path), parts.label()),
        lane,
        parts,
        check,
    };
    parts.iter().flat_map(|parts| checks.iter().map(|(path, check)| test(*parts, path, *check))).collect()
}

/// These tests, each for the default parts.
pub fn once(lane: Lane, checks: &[(&str, Check)]) -> Vec<Test> {
    let test =
        |(path, check): &(&str, Check)| Test { name: name_of(path), lane, parts: Parts::default(), check: *check };
    checks.iter().map(test).collect()
}

/// A path without the name of the test binary, and without the blanks of `stringify!`.
fn name_of(path: &str) -> String {
    let path = path.replace(' ', "");
    path.split_once("::").map_or(path.as_str(), |(_, rest)| rest).to_owned()
}

/// Whether the long cases run, which `cargo xtask test` leaves out by default.
pub fn runs_all() -> bool {
    std::env::var_os(ALL).is_some_and(|value| !value.is_empty())
}

/// Runs tests in this order, in parallel as their lanes allow. `remove_fixture` removes the fixture
/// cluster of these parts after the last test that reads it.
pub fn run_tests(tests: Vec<Test>, remove_fixture: fn(Parts)) -> Conclusion {
    let mut arguments = Arguments::from_args();
    let selected: Vec<&Test> = tests.iter().filter(|test| is_selected(&arguments, &test.name)).collect();
    let lanes = Arc::new(Lanes::new(&selected));
    let slots = arguments.test_threads.unwrap_or_else(|| lanes.slots());
    arguments.test_threads = Some(slots);
    if !arguments.list {
        println!("{slots} tests at once; {} inotify instances", lanes.room());
    }
    let trial = |test: Test| {
        let lanes = Arc::clone(&lanes);
        Trial::test(test.name.clone(), move || {
            run_test(&test, &lanes, remove_fixture);
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect())
}

/// Whether a test runs with these arguments, by the rules of libtest.
fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

fn run_test(test: &Test, lanes: &Lanes, remove_fixture: fn(Parts)) {
    if let Some(why) = unfit() {
        return report_skip(&test.name, why);
    }
    let queued = Instant::now();
    let mut pass = lanes.enter(test);
    let waited = queued.elapsed();
    let check = || match test.lane {
        Lane::Isolated { .. } => isolated(|| (test.check)(test.parts)),
        _ => (test.check)(test.parts),
    };
    let result = timed(&format!("{} (queued {:.0} s)", test.name, waited.as_secs_f64()), || {
        // On a thread of this name, so that a panic message names the test.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name(test.name.clone()).spawn_scoped(scope, check);
            thread.expect("a thread").join()
        })
    });
    if pass.is_last_reader() {
        remove_fixture(test.parts);
    }
    drop(pass);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a test in its own network, with a default route.
///
/// # Panics
/// The network can't be created, or the test panics.
pub fn isolated<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    World::new(&format!("nameserver {OUTSIDE}\n"), true).in_host(test)
}

/// Runs something and prints `TIME: NAME: SECONDS`, which `cargo xtask test` collects.
fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    println!("TIME: {name}: {:.1}", started.elapsed().as_secs_f64());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: Parts) {}

    #[test]
    fn tests_are_named_after_module_function_and_parts() {
        let checks: [(&str, Check); 1] = [("e2e::cluster::access :: one", nothing)];
        let names = |tests: Vec<Test>| tests.into_iter().map(|test| test.name).collect::<Vec<_>>();
        assert_eq!(names(once(Lane::Fixture, &checks)), ["cluster::access::one"]);
        let other = Parts::as_plugins();
        assert_eq!(names(each(Lane::Fixture, &[other], &checks)), [format!("cluster::access::one::{}", other.label())]);
    }

    #[test]
    fn tests_are_selected_as_by_libtest() {
        let selected =
            |args: &[&str], name: &str| is_selected(&Arguments::from_iter([&["e2e"][..], args].concat()), name);
        assert!(selected(&[], "state::stop"));
        assert!(selected(&["state"], "state::stop") && !selected(&["state"], "down::stop"));
        assert!(
            selected(&["state::stop", "--exact"], "state::stop") && !selected(&["state", "--exact"], "state::stop")
        );
        assert!(!selected(&["--skip", "stop"], "state::stop"));
    }
}
