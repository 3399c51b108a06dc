//! Where events go. A sink never fails its caller: a boot doesn't end because a disk is full or a watcher went away.

use super::{Event, Record};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes events, from any thread. Stamps the time itself where it needs one.
pub trait Sink: Send + Sync {
    /// Takes an event.
    fn emit(&self, event: Event);
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn emit(&self, event: Event) {
        (**self).emit(event);
    }
}

/// Drops everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Sink for Discard {
    fn emit(&self, _event: Event) {}
}

/// Writes each event as one line of JSON, by one `write` call, so that a reader never sees parts of two lines mixed.
///
/// The first failed write is logged and ends it: later events are dropped. A reader that went away (EPIPE) isn't worth a word.
#[derive(Debug)]
pub struct WriterSink<W> {
    /// `None` once a write failed.
    writer: Mutex<Option<W>>,
}

impl<W: Write + Send> WriterSink<W> {
    /// Writes to this writer, unbuffered.
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(Some(writer)) }
    }
}

impl<W: Write + Send> Sink for WriterSink<W> {
    fn emit(&self, event: Event) {
        let mut line = match serde_json::to_vec(&Record::now(event)) {
            Ok(line) => line,
            Err(error) => return log::warn!("an event can't be written as JSON: {error}"),
        };
        line.push(b'\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = writer.as_mut() else { return };
        if let Err(error) = open.write_all(&line).and_then(|()| open.flush()) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                log::warn!("events are no longer recorded: {error}");
            }
            *writer = None;
        }
    }
}

/// Appends to a file of JSON lines.
#[derive(Debug)]
pub struct FileSink(WriterSink<File>);

impl FileSink {
    /// Opens the file for appending and makes it, mode 0600, where it isn't there. A last line that was torn by a crash is
    /// ended, so that it doesn't swallow the next event.
    ///
    /// # Errors
    /// The file can't be opened, read or written.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if super::reader::is_torn(&mut file)? {
            file.write_all(b"\n")?;
        }
        Ok(Self(WriterSink::new(file)))
    }
}

impl Sink for FileSink {
    fn emit(&self, event: Event) {
        self.0.emit(event);
    }
}

/// Passes each event on to several sinks, in order.
#[derive(Clone, Default)]
pub struct Tee(Vec<Arc<dyn Sink>>);

impl Tee {
    /// Passes events on to all of these.
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self(sinks)
    }
}

impl Sink for Tee {
    fn emit(&self, event: Event) {
        for sink in &self.0 {
            sink.emit(event.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::read;

    #[test]
    fn a_file_is_continued_even_after_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        FileSink::append(&path).unwrap().emit(Event::BootReady);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at_us\":12,\"eve").unwrap();
        FileSink::append(&path).unwrap().emit(Event::Note { message: "again".into() });
        let events: Vec<Event> = read(&path).unwrap().into_iter().map(|record| record.event).collect();
        assert_eq!(events, [Event::BootReady, Event::Note { message: "again".into() }]);
    }

    #[test]
    fn a_reader_that_went_away_stops_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        let sink = WriterSink::new(writer);
        drop(reader);
        sink.emit(Event::BootReady);
        assert!(sink.writer.lock().unwrap().is_none(), "the pipe is closed for good");
        sink.emit(Event::BootReady);
    }

    #[test]
    fn a_tee_reaches_all_its_sinks() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("a"), dir.path().join("b")];
        let sinks = paths.iter().map(|p| Arc::new(FileSink::append(p).unwrap()) as Arc<dyn Sink>).collect();
        Tee::new(sinks).emit(Event::BootReady);
        for path in &paths {
            assert_eq!(read(path).unwrap().len(), 1);
        }
    }
}
