//! Reports tests that a machine can't run.

use std::fmt::Display;
use std::io::Write;

/// Reports that a test ends without having tested anything: `SKIPPED: TEST: REASON` on standard
/// error.
///
/// `cargo xtask test` counts these lines and, with `CI` set, fails. The line is written past the
/// capture of the test harness, which hides the output of tests that pass.
pub fn report_skip(test: &str, reason: impl Display) {
    // Nothing reads the line if standard error is closed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
}
