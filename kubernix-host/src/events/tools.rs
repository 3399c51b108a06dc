//! What the toolchain tells, as events.

use super::{Event, Sink};
use crate::toolchain::{Reporter, ToolState};

/// Passes on what the toolchain tells to a sink.
pub struct ToolEvents<'a>(pub &'a dyn Sink);

impl Reporter for ToolEvents<'_> {
    fn tool(&self, name: &str, state: ToolState) {
        self.0.emit(Event::Tool { name: name.to_owned(), state });
    }

    fn note(&self, message: String) {
        self.0.emit(Event::Note { message });
    }
}
