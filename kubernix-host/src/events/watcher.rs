//! Queues events for a connected command, so that a slow reader never blocks the engine.

use super::{Event, Record, json_line};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// The largest number of queued events. If the queue is full, events that the command doesn't wait
/// for are dropped.
const LIMIT: usize = 10_000;

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    dropped: u64,
    closed: bool,
    /// The connection failed, or all events are written.
    ended: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic can't leave the queue inconsistent, because every change is one call.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends events to a connected command. Queued events are still written after the value is dropped.
pub struct Watcher(Arc<Shared>);

/// Whether a command waits for this event. Such an event is never dropped.
fn is_awaited(event: &Event) -> bool {
    matches!(
        event,
        Event::BootReady
            | Event::BootFailed { .. }
            | Event::Changed
            | Event::ChangeFailed { .. }
            | Event::ChangeRefused { .. }
            | Event::ChangeStale
    )
}

impl Watcher {
    /// Writes events to this stream from a separate task. Closes the connection after the last
    /// event.
    pub fn new(stream: impl AsyncWrite + Unpin + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let written = shared.clone();
        tokio::task::spawn_local(async move {
            let mut stream = stream;
            write(&written, &mut stream).await;
            let _ = stream.shutdown().await;
        });
        Self(shared)
    }

    /// As [`Watcher::new`] for a shared stream, which isn't closed after the last event.
    pub fn shared(mut stream: impl AsyncWrite + Unpin + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let written = shared.clone();
        tokio::task::spawn_local(async move { write(&written, &mut stream).await });
        Self(shared)
    }

    /// Queues an event.
    pub fn send(&self, event: Event) {
        let is_awaited = is_awaited(&event);
        let Ok(line) = json_line(&Record::now(event)) else { return };
        let mut queue = self.0.queue();
        if queue.ended {
            return;
        }
        if queue.lines.len() >= LIMIT && !is_awaited {
            queue.dropped += 1;
            return;
        }
        queue.lines.push_back(line);
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Ends the queue. The connection is closed after the queued events are written.
    pub fn close(&mut self) {
        self.0.queue().closed = true;
        self.0.changed.notify_one();
    }

    /// Whether all events are written, or can't be written.
    pub fn is_flushed(&self) -> bool {
        let queue = self.0.queue();
        queue.ended || queue.lines.is_empty()
    }

    /// Waits until all events are written, or can't be written.
    pub async fn flushed(&self) {
        while !self.is_flushed() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.close();
    }
}

async fn write(shared: &Shared, stream: &mut (impl AsyncWrite + Unpin)) {
    loop {
        let (line, closed) = {
            let mut queue = shared.queue();
            if queue.lines.is_empty() && queue.dropped > 0 {
                let dropped = std::mem::take(&mut queue.dropped);
                let message = format!("{dropped} events were not shown: they came faster than they were read");
                queue.lines.extend(json_line(&Record::now(Event::Note { message })));
            }
            (queue.lines.front().cloned(), queue.closed)
        };
        match line {
            Some(line) => {
                if stream.write_all(&line).await.is_err() {
                    shared.queue().ended = true;
                    return;
                }
                shared.queue().lines.pop_front();
            }
            None if closed => {
                shared.queue().ended = true;
                return;
            }
            None => shared.changed.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::UnixStream;

    async fn events(far: UnixStream) -> Vec<String> {
        let mut lines = BufReader::new(far).lines();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_slow_reader_gets_the_event_that_it_waits_for() {
        let local = tokio::task::LocalSet::new();
        let received = async {
            let (near, far) = UnixStream::pair().unwrap();
            let watcher = Watcher::new(near);
            for n in 0..3 * LIMIT {
                watcher.send(Event::Note { message: format!("{n:0200}") });
            }
            watcher.send(Event::BootReady);
            drop(watcher);
            events(far).await
        };
        let events = local.run_until(received).await;
        assert!(events.len() <= LIMIT + 2, "{}", events.len());
        assert!(events.iter().any(|event| event.contains("boot-ready")));
        assert!(events.iter().any(|event| event.contains("events were not shown")));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_closed_connection_does_not_block() {
        let local = tokio::task::LocalSet::new();
        let flushed = async {
            let (near, far) = UnixStream::pair().unwrap();
            let watcher = Watcher::new(near);
            drop(far);
            watcher.send(Event::BootReady);
            watcher.flushed().await;
        };
        local.run_until(flushed).await;
    }
}
