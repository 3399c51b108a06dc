//! Errors of components: a kind and a chain of messages that can cross the boundary.

use crate::types::open_set;
use abi_stable::StableAbi;

use std::fmt;

/// The result of a component's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

open_set! {
    /// The kind of an [`Error`], from which the host derives its advice and exit code.
    ErrorKind {
        /// Anything else.
        OTHER = 0, "failure";
        /// The component panicked: a defect of the component.
        PANIC = 1, "panic";
        /// A parameter or a setting has an invalid value.
        INVALID = 2, "invalid input";
        /// The context doesn't have what the component asked for.
        NOT_FOUND = 3, "not found";
        /// A command that the component ran failed.
        COMMAND = 4, "command failed";
    }
}

/// An error and its causes, outermost first. Messages are lower case, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<Error>>,
}

impl Error {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An invalid value.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::INVALID, message)
    }

    /// Something doesn't exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NOT_FOUND, message)
    }

    /// Wraps this error as the cause of another error of the same kind.
    pub fn context(self, message: impl Into<String>) -> Self {
        Self { kind: self.kind, message: message.into(), source: Some(Box::new(self)) }
    }

    /// Converts any error with its chain of causes.
    pub fn from_std(error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            kind: ErrorKind::OTHER,
            message: error.to_string(),
            source: error.source().map(|e| Box::new(Self::from_std(e))),
        }
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The messages of this error and its causes, outermost first.
    pub fn frames(&self) -> Vec<&str> {
        std::iter::successors(Some(self), |e| e.source.as_deref()).map(|e| e.message.as_str()).collect()
    }

    /// Creates an error of these messages, outermost first.
    pub fn from_frames(kind: ErrorKind, frames: impl DoubleEndedIterator<Item = String>) -> Self {
        let source = frames.rev().fold(None, |source, message| Some(Box::new(Self { kind, message, source })));
        source.map_or_else(|| Self::new(kind, "failed without a message"), |e| *e)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_survives_its_flattened_form() {
        let error = Error::invalid("not a port: 70000").context("reading parameter `port`");
        let frames: Vec<String> = error.frames().into_iter().map(String::from).collect();
        assert_eq!(frames, ["reading parameter `port`", "not a port: 70000"]);
        assert_eq!(Error::from_frames(error.kind(), frames.into_iter()), error);
    }
}
