//! The kit's report, as text and as JSON. It must not know what is checked.

use serde::Serialize;
use std::fmt;

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The requirement is met.
    Passed,
    /// The requirement isn't met.
    Failed {
        /// The observed behaviour.
        why: String,
    },
    /// It couldn't be checked, or there is nothing to check.
    Skipped {
        /// The reason.
        why: String,
    },
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// The check's ID: kebab-case, stable over releases.
    pub id: &'static str,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The results of all checks of one component, in the order in which they ran. `Display` prints a
/// table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The component's name, if it is known.
    pub component: String,
    /// The checks.
    pub checks: Vec<CheckResult>,
}

impl Report {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.failed().is_empty()
    }

    /// The checks that failed, by id.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed { .. }));
        failed.map(|check| check.id).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.id.len()).max().unwrap_or_default();
        for CheckResult { id, outcome } in &self.checks {
            match outcome {
                Outcome::Passed => writeln!(f, "{id:width$}  passed")?,
                Outcome::Failed { why } => writeln!(f, "{id:width$}  FAILED   {why}")?,
                Outcome::Skipped { why } => writeln!(f, "{id:width$}  skipped  {why}")?,
            }
        }
        let count = |wanted: fn(&Outcome) -> bool| self.checks.iter().filter(|check| wanted(&check.outcome)).count();
        let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
        let passed = self.checks.len() - failed - skipped;
        write!(f, "{}: {passed} passed, {failed} failed, {skipped} skipped", self.component)
    }
}

/// Why a check didn't pass.
pub(super) enum Stop {
    Failed(String),
    Skipped(String),
}

/// What a check returns.
pub(super) type Verdict = Result<(), Stop>;

/// Fails a check.
pub(super) fn failed<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(why.into()))
}

/// Skips a check.
pub(super) fn skipped<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skipped(why.into()))
}

/// Fails a check unless the condition holds.
pub(super) fn demand(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { failed(why()) }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Ok(()) => Self::Passed,
            Err(Stop::Failed(why)) => Self::Failed { why },
            Err(Stop::Skipped(why)) => Self::Skipped { why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_prints_as_a_table_and_as_json() {
        let checks = vec![
            CheckResult { id: "a", outcome: Outcome::from(Ok(())) },
            CheckResult { id: "long-one", outcome: Outcome::from(failed("it broke")) },
            CheckResult { id: "b", outcome: Outcome::from(skipped("no such thing")) },
        ];
        let report = Report { component: "mine".into(), checks };
        let table = "a         passed\nlong-one  FAILED   it broke\nb         skipped  no such thing\n\
                     mine: 1 passed, 1 failed, 1 skipped";
        assert_eq!(report.to_string(), table);
        assert!(!report.passed() && report.failed() == ["long-one"]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["checks"][1], serde_json::json!({"id": "long-one", "outcome": "failed", "why": "it broke"}));
    }
}
