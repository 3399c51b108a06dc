//! The progress of a `go build`, read from the names of packages that it prints.
//!
//! This module must not run anything.

use super::ToolState;
use super::provider::Session;
use std::time::{Duration, Instant};

/// The shortest time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// A line that the Go command prints.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// It downloads a module: `k8s.io/api v0.36.3`.
    Downloading(&'a str),
    /// The name of a package.
    Package(&'a str),
    /// An empty line.
    Blank,
    /// An error or a warning.
    Other,
}

/// Reads a line of `go build -v` or `go list`.
pub fn read(line: &str) -> Line<'_> {
    match line.strip_prefix("go: downloading ") {
        Some(module) => Line::Downloading(module),
        None if line.is_empty() => Line::Blank,
        None if line.contains(char::is_whitespace) => Line::Other,
        None => Line::Package(line),
    }
}

/// Reports a build.
pub struct Progress<'a> {
    session: &'a Session<'a>,
    name: &'a str,
    done: u64,
    total: u64,
    last: Option<Instant>,
}

impl<'a> Progress<'a> {
    /// The progress of the tool or module `name`.
    pub fn new(session: &'a Session<'a>, name: &'a str) -> Self {
        Self { session, name, done: 0, total: 0, last: None }
    }

    /// Sets the number of steps, and reports the first one.
    pub fn begin(&mut self, total: u64, detail: &str) {
        (self.done, self.total, self.last) = (0, total, None);
        self.report(detail);
    }

    /// Reports the next step.
    pub fn step(&mut self, detail: &str) {
        self.done = (self.done + 1).min(self.total);
        self.report(detail);
    }

    /// Reports the current step, unless the last report was a moment ago.
    pub fn report(&mut self, detail: &str) {
        if self.last.is_some_and(|last| last.elapsed() < REPORT_INTERVAL) {
            return;
        }
        self.last = Some(Instant::now());
        let state = ToolState::Building { detail: detail.to_owned(), done: self.done, total: self.total };
        self.session.report(self.name, state);
    }

    /// Reports the current step in any case: the next one may be far off.
    pub fn report_now(&mut self, detail: &str) {
        self.last = None;
        self.report(detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_go_command_are_recognised() {
        for (line, expected) in [
            ("k8s.io/apimachinery/pkg/util/sets", Line::Package("k8s.io/apimachinery/pkg/util/sets")),
            ("go: downloading k8s.io/api v0.36.3", Line::Downloading("k8s.io/api v0.36.3")),
            ("", Line::Blank),
            ("# github.com/opencontainers/runc", Line::Other),
            ("./main.go:3:8: undefined: x", Line::Other),
            ("go: updates to go.mod needed", Line::Other),
        ] {
            assert_eq!(read(line), expected);
        }
    }
}
