//! Loads the samples as a host loads plugins: the kit also finds their defects across the real
//! boundary.

use kubernix_core::Error;
use kubernix_host::plugins::load;
use kubernix_testkit::kit::{self, Subject};
use std::path::PathBuf;
use std::time::Duration;

/// Samples whose defects the boundary could hide, or suffer from.
const SAMPLES: [(&str, &[&str]); 7] = [
    ("good", &[]),
    ("bad_panic_in_name", &["describe-answers"]),
    ("bad_panic_in_plan", &["plan-answers"]),
    ("bad_panic_in_drop", &["drop-contained"]),
    ("bad_hang_in_plan", &["plan-answers"]),
    ("bad_memory", &["context-not-remembered"]),
    ("bad_shell_import", &["import-one-argument"]),
];

/// The directory of this build's examples.
fn library(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path is known");
    let built = test.ancestors().nth(2).expect("the test is in target/PROFILE/deps");
    built.join("examples").join(format!("lib{name}.so"))
}

#[test]
fn defects_are_caught_over_the_boundary() {
    for (name, wanted) in SAMPLES {
        let path = library(name);
        let make = move || Ok(load(&path).map_err(|error| Error::from_std(&error))?.handle);
        let limit = Duration::from_secs(if name.contains("hang") { 3 } else { 30 });
        let report = kit::check(&Subject::new(make).limit(limit));
        assert_eq!(report.failed(), wanted, "{name}:\n{report}");
    }
}
