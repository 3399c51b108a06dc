//! Failing in turn: which call of a component to its host is to be refused, and what was asked in
//! it.

use kubernix_core::{Error, ErrorKind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What every refusal says.
pub(super) const REFUSED: &str = "the conformance kit refuses this call";

/// Counts calls and refuses one of them.
#[derive(Default)]
pub(super) struct Turn {
    refuse: Option<usize>,
    calls: AtomicUsize,
    refused: Mutex<Option<Refused>>,
}

/// The call that was refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// What was asked: "executable `etcd`".
    pub(super) what: String,
    /// Whether the component gets an error rather than nothing.
    pub(super) as_error: bool,
}

impl Turn {
    /// Refuses the call of this number, from 0.
    pub(super) fn refusing(call: usize) -> Self {
        Self { refuse: Some(call), ..Self::default() }
    }

    /// A call.
    pub(super) fn ask(&self, what: &str, as_error: bool) -> Result<(), Error> {
        if Some(self.calls.fetch_add(1, Ordering::Relaxed)) != self.refuse {
            return Ok(());
        }
        let refused = Refused { what: what.to_owned(), as_error };
        *self.refused.lock().expect("no thread panics while it holds the lock") = Some(refused);
        Err(Error::new(ErrorKind::OTHER, REFUSED).context(format!("there is no {what}")))
    }

    /// The call that was refused, if it came to that.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused.lock().expect("no thread panics while it holds the lock").clone()
    }
}
