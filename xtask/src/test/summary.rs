//! Adds up what test binaries say of themselves.

use std::collections::BTreeMap;
use std::fmt;

/// What a test that can't run on this machine prints before it ends: `SKIPPED: TEST: WHY`.
const SKIPPED: &str = "SKIPPED: ";

/// How many tests did what. Prints as the plain closing line: `N passed, N failed, N skipped`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    passed: usize,
    /// Tests that failed, and steps that failed without a test to blame.
    pub failed: usize,
    /// Tests that the test binary itself left out.
    ignored: usize,
    /// Tests that couldn't run here, and why. Their binaries count them as passed.
    pub skips: BTreeMap<String, String>,
}

impl Counts {
    /// Takes a line of output.
    pub fn read(&mut self, line: &str) {
        if let Some((passed, failed, ignored)) = closing_line(line) {
            self.passed += passed;
            self.failed += failed;
            self.ignored += ignored;
        } else if let Some((_, skip)) = line.split_once(SKIPPED) {
            let (test, why) = skip.split_once(": ").unwrap_or((skip, "it didn't say why"));
            self.skips.insert(test.to_owned(), why.to_owned());
        }
    }

    /// Adds a step's tests. A bad step without a failed test counts as one.
    pub fn add(&mut self, step: Self, good: bool) {
        self.passed += step.passed;
        self.failed += step.failed + usize::from(!good && step.failed == 0);
        self.ignored += step.ignored;
        self.skips.extend(step.skips);
    }

    /// Tests that didn't do their work.
    pub fn skipped(&self) -> usize {
        self.ignored + self.skips.len()
    }

    /// Tests that were there at all.
    pub fn ran(&self) -> usize {
        self.passed + self.failed
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed.saturating_sub(self.skips.len());
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, self.skipped())
    }
}

/// Passed, failed and ignored out of `test result: ok. 5 passed; 0 failed; 1 ignored; ...`.
fn closing_line(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
    Some((number("passed")?, number("failed")?, number("ignored")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Counts {
        let mut counts = Counts::default();
        text.lines().for_each(|line| counts.read(line));
        counts
    }

    #[test]
    fn closing_lines_add_up() {
        let counts = read(
            "running 2 tests\n\
             test a ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
        );
        assert_eq!(counts.to_string(), "3 passed, 3 failed, 1 skipped");
        assert_eq!(counts.ran(), 6);
    }

    #[test]
    fn a_test_that_says_it_was_skipped_did_not_pass() {
        let counts = read(
            "SKIPPED: pods: not root\n\
             test stop ... SKIPPED: stop: no namespaces: EPERM\n\
             SKIPPED: pods: not root\n\
             test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        assert_eq!(counts.to_string(), "1 passed, 0 failed, 2 skipped");
        assert_eq!(counts.skips["stop"], "no namespaces: EPERM");
    }

    #[test]
    fn a_step_that_fails_without_a_test_is_a_failure_all_the_same() {
        let mut sum = Counts::default();
        sum.add(read("error: could not compile"), false);
        sum.add(read("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured"), false);
        sum.add(Counts::default(), true);
        assert_eq!(sum.to_string(), "1 passed, 3 failed, 0 skipped");
    }
}
