//! What happens to a cluster, as a stream of events: the one thing that a boot writes down (`events.jsonl`), that the command
//! in front of it shows as progress, and that the timeline is made of.
//!
//! This module must not know who emits events or how they are shown; it knows their form, where they go ([`Sink`]) and
//! what can be read out of them afterwards ([`Timeline`]).

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
