//! Destinations of events. A sink never returns an error: a boot doesn't fail because the disk is
//! full or a reader closed its connection.

use super::{Event, Record, json_line};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Receives events from any thread. Adds the time if it needs one.
pub trait Sink: Send + Sync {
    /// Receives an event.
    fn emit(&self, event: Event);
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn emit(&self, event: Event) {
        (**self).emit(event);
    }
}

/// Drops all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Sink for Discard {
    fn emit(&self, _event: Event) {}
}

/// Writes each event as one line of JSON with one `write` call, so that lines of several writers
/// aren't mixed.
///
/// After the first failed write, later events are dropped. The failure is logged, unless the reader
/// has closed the pipe (EPIPE).
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
        let Some(line) = line_of(event) else { return };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = writer.as_mut() else { return };
        if let Err(error) = open.write_all(&line).and_then(|()| open.flush()) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                log::warn!("can't record an event, and will drop all later ones: {error}");
            }
            *writer = None;
        }
    }
}

/// Appends to a file of JSON lines. An event that can't be written, for instance because the disk
/// is full, is lost. Before the next event that can be written, the number of lost events is
/// recorded.
#[derive(Debug)]
pub struct FileSink(Mutex<Lines<File>>);

impl FileSink {
    /// Opens the file for appending. Creates it with mode 0600 if it is missing. If a crash cut off
    /// the last line, ends that line, so that the next event is readable.
    ///
    /// # Errors
    /// The file can't be opened, read or written.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if super::reader::ends_incomplete(&mut file)? {
            file.write_all(b"\n")?;
        }
        Ok(Self(Mutex::new(Lines { writer: file, lost: None })))
    }
}

impl Sink for FileSink {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(event);
    }
}

/// A writer of JSON lines that continues after failed writes.
#[derive(Debug)]
struct Lines<W> {
    writer: W,
    lost: Option<Lost>,
}

/// The events that couldn't be written since the last written one.
#[derive(Debug)]
struct Lost {
    count: u64,
    /// Why writing the first of them failed.
    cause: String,
}

impl<W: Write> Lines<W> {
    fn append(&mut self, event: Event) {
        let mut text = Vec::new();
        if let Some(Lost { count, cause }) = &self.lost {
            // The failed write may have written a part of its line.
            text.push(b'\n');
            let message = format!("{count} events before this one were lost: {cause}");
            text.extend(line_of(Event::Warning { message }).unwrap_or_default());
        }
        text.extend(line_of(event).unwrap_or_default());
        match self.writer.write_all(&text) {
            Ok(()) => {
                if let Some(Lost { count, .. }) = self.lost.take() {
                    log::warn!("events are recorded again; {count} were lost");
                }
            }
            Err(error) => {
                let lost = self.lost.get_or_insert_with(|| {
                    log::warn!("can't record events: {error}");
                    Lost { count: 0, cause: error.to_string() }
                });
                lost.count += 1;
            }
        }
    }
}

/// The line of an event at the present time. `None`: it can't be represented in JSON, which is
/// logged.
fn line_of(event: Event) -> Option<Vec<u8>> {
    json_line(&Record::now(event)).inspect_err(|error| log::warn!("can't write an event as JSON: {error}")).ok()
}

/// Forwards each event to several sinks, in order.
#[derive(Clone, Default)]
pub struct Tee(Vec<Arc<dyn Sink>>);

impl Tee {
    /// Forwards events to all of these.
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
    fn a_file_is_continued_after_an_incomplete_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        FileSink::append(&path).unwrap().emit(Event::BootReady);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at_us\":12,\"eve").unwrap();
        FileSink::append(&path).unwrap().emit(Event::Note { message: "again".into() });
        let events: Vec<Event> = read(&path).unwrap().into_iter().map(|record| record.event).collect();
        assert_eq!(events, [Event::BootReady, Event::Note { message: "again".into() }]);
    }

    /// A disk with limited space.
    #[derive(Default)]
    struct Disk {
        content: Vec<u8>,
        free: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match bytes.len().min(self.free) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                fitting => {
                    self.content.extend(&bytes[..fitting]);
                    self.free -= fitting;
                    Ok(fitting)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn note(number: u32) -> Event {
        Event::Note { message: number.to_string() }
    }

    #[test]
    fn only_events_that_did_not_fit_on_the_disk_are_lost() {
        // The space for a part of the first failed line.
        for rest in [0, 1, 20] {
            let mut lines = Lines { writer: Disk { free: 1000, ..Disk::default() }, lost: None };
            lines.append(note(1));
            lines.writer.free = rest;
            (2..=4).for_each(|number| lines.append(note(number)));
            lines.writer.free = 1000;
            (5..=6).for_each(|number| lines.append(note(number)));
            let events: Vec<Event> =
                crate::events::records(&*lines.writer.content).map(|record| record.event).collect();
            let message =
                format!("3 events before this one were lost: {}", io::Error::from(io::ErrorKind::StorageFull));
            assert_eq!(events, [note(1), Event::Warning { message }, note(5), note(6)], "{rest}");
        }
    }

    #[test]
    fn the_count_of_lost_events_is_retried_until_it_fits() {
        let mut lines = Lines { writer: Disk::default(), lost: None };
        lines.append(note(1));
        // The warning fits, and the event after it doesn't.
        lines.writer.free = 120;
        lines.append(note(2));
        lines.writer.free = 1000;
        lines.append(note(3));
        let text = String::from_utf8(lines.writer.content).unwrap();
        assert!(text.contains("2 events before this one were lost"), "{text}");
        assert!(text.trim_end().lines().last().unwrap().contains("\"message\":\"3\""), "{text}");
    }

    #[test]
    fn a_device_without_space_does_not_end_the_sink() {
        let sink = FileSink(Mutex::new(Lines {
            writer: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            lost: None,
        }));
        sink.emit(Event::BootReady);
        sink.emit(Event::BootReady);
        assert_eq!(sink.0.lock().unwrap().lost.as_ref().map(|lost| lost.count), Some(2));
    }

    #[test]
    fn a_closed_pipe_does_not_fail_the_caller() {
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
