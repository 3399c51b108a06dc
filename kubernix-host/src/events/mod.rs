//! The events of a cluster. A boot records them in `events.jsonl`, the command shows them as
//! progress, and the timeline is computed from them.
//!
//! This module defines their format, their destinations ([`Sink`]) and the evaluation of recorded
//! events ([`Timeline`]). It must not know which code emits events or how they are shown.

mod reader;
mod record;
mod sink;
mod timeline;
mod tools;
mod watcher;

pub use crate::toolchain::ToolState;
pub use reader::{read, records};
pub(crate) use record::json_line;
pub use record::{Event, Record};
pub use sink::{Discard, FileSink, Sink, Tee, WriterSink};
pub use timeline::{RoleReady, Row, Timeline};
pub use tools::ToolEvents;
pub use watcher::Watcher;
