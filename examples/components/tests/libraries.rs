//! Loads the samples as a host loads plugins: what is wrong with them is caught over the real
//! boundary as well.

use kubernix_core::Error;
use kubernix_host::plugins::load;
use kubernix_testkit::kit::{self, Subject};
use std::path::PathBuf;
use std::time::Duration;

/// Samples whose defects a boundary could hide, or be hurt by.
const SAMPLES: [(&str, &[&str]); 7] = [
    ("good", &[]),
    ("bad_panic_in_name", &["describe-answers"]),
    ("bad_panic_in_plan", &["plan-answers"]),
    ("bad_panic_in_drop", &["drop-contained"]),
    ("bad_hang_in_plan", &["plan-answers"]),
    ("bad_memory", &["context-not-remembered"]),
    ("bad_shell_import", &["import-one-argument"]),
];

/// Where cargo puts the examples of the build that this test belongs to.
fn library(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it lies");
    let built = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
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
