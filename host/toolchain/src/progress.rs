//! The progress of a `go build`, read from the packages that it names as it compiles them.
//!
//! This module must not run anything.

use super::ToolState;
use super::provider::Session;
use std::time::{Duration, Instant};

/// How often a build is reported at most.
const PAUSE: Duration = Duration::from_millis(100);

/// What a line of the Go command is.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// It fetches a module: `k8s.io/api v0.36.3`.
    Downloading(&'a str),
    /// It names a package.
    Package(&'a str),
    /// Nothing.
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

/// A build as it is reported.
pub struct Progress<'a> {
    session: &'a Session<'a>,
    name: &'a str,
    done: u64,
    total: u64,
    last: Option<Instant>,
}

impl<'a> Progress<'a> {
    /// The progress of what is called `name`.
    pub fn new(session: &'a Session<'a>, name: &'a str) -> Self {
        Self { session, name, done: 0, total: 0, last: None }
    }

    /// Sets the number of steps, and says what is going on.
    pub fn begin(&mut self, total: u64, detail: &str) {
        (self.done, self.total, self.last) = (0, total, None);
        self.say(detail);
    }

    /// One more step is being done.
    pub fn step(&mut self, detail: &str) {
        self.done = (self.done + 1).min(self.total);
        self.say(detail);
    }

    /// Says what is going on, but not too often.
    pub fn say(&mut self, detail: &str) {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        let state = ToolState::Building { detail: detail.to_owned(), done: self.done, total: self.total };
        self.session.tell(self.name, state);
    }

    /// Says it whatever was said a moment ago: the next word may be long in coming.
    pub fn say_now(&mut self, detail: &str) {
        self.last = None;
        self.say(detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_go_command_are_told_apart() {
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
