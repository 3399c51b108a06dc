//! One test for each of several clusters, by a name that says which: `a_deleted_pod_is_gone::containerd-etcd`.

use crate::parts::Parts;
use crate::skip::unfit;
use libtest_mimic::{Arguments, Conclusion, Trial};

/// A test of a cluster of these parts.
pub type Check = fn(Parts);

/// Functions with their names, for [`each`].
#[macro_export]
macro_rules! checks {
    ($($(#[$meta:meta])* $check:path),+ $(,)?) => {
        [$((stringify!($check), $check as $crate::Check)),+]
    };
}

/// Each of these tests for each of these clusters; all tests of one cluster come together.
pub fn each(parts: &[Parts], checks: &[(&str, Check)]) -> Vec<Trial> {
    let trials = parts.iter().flat_map(|parts| checks.iter().map(|(path, check)| trial(path, *parts, *check)));
    trials.collect()
}

fn trial(path: &str, parts: Parts, check: Check) -> Trial {
    let function = path.rsplit("::").next().unwrap_or(path).trim();
    let name = format!("{function}::{}", parts.label());
    Trial::test(name.clone(), move || {
        match unfit() {
            Some(why) => eprintln!("SKIPPED: {name}: {why}"),
            None => check(parts),
        }
        Ok(())
    })
}

/// Runs them one after the other: two cores are few.
pub fn run_in_order(trials: Vec<Trial>) -> Conclusion {
    libtest_mimic::run(&Arguments { test_threads: Some(1), ..Arguments::from_args() }, trials)
}
