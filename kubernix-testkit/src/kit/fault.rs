//! Fault injection: fails one call of a component to its host, and records that call.

use kubernix_core::{Error, ErrorKind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The message of every injected failure.
pub(super) const REFUSED: &str = "the conformance kit fails this call";

/// Counts calls and fails one of them.
#[derive(Default)]
pub(super) struct CallFault {
    refuse: Option<usize>,
    calls: AtomicUsize,
    refused: Mutex<Option<FailedCall>>,
}

/// The call that failed.
#[derive(Debug, Clone)]
pub(super) struct FailedCall {
    /// The method and its argument: "executable `etcd`".
    pub(super) what: String,
    /// Whether the component got an error rather than an empty answer.
    pub(super) as_error: bool,
}

impl CallFault {
    /// Fails the call of this number, from 0.
    pub(super) fn refusing(call: usize) -> Self {
        Self { refuse: Some(call), ..Self::default() }
    }

    /// Counts a call, and returns an error if it is to fail.
    pub(super) fn check(&self, what: &str, as_error: bool) -> Result<(), Error> {
        if Some(self.calls.fetch_add(1, Ordering::Relaxed)) != self.refuse {
            return Ok(());
        }
        let refused = FailedCall { what: what.to_owned(), as_error };
        *self.refused.lock().expect("no thread panics while it holds the lock") = Some(refused);
        Err(Error::new(ErrorKind::OTHER, REFUSED).context(format!("there is no {what}")))
    }

    /// The call that failed, if any.
    pub(super) fn failed_call(&self) -> Option<FailedCall> {
        self.refused.lock().expect("no thread panics while it holds the lock").clone()
    }
}
