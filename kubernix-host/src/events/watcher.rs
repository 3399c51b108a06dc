//! A command that watches what happens: its events are queued here, so that one that reads slowly or not at all never holds
//! up what happens.

use super::{Event, Record, json_line};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// So many events wait for a command at most. Of more, those are dropped that it doesn't wait for.
const LIMIT: usize = 10_000;

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    dropped: u64,
    closed: bool,
    /// The connection broke, or all is written.
    over: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic elsewhere leaves the queue whole: every change is one call.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that watches what happens. Dropped, it is told the rest.
pub struct Watcher(Arc<Shared>);

/// Whether a command waits for this event: it is never dropped.
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
    /// Writes events to this stream from a task of its own. When all is written its connection ends.
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

    /// The same for a stream that others write to when all is written.
    pub fn beside_others(mut stream: impl AsyncWrite + Unpin + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let written = shared.clone();
        tokio::task::spawn_local(async move { write(&written, &mut stream).await });
        Self(shared)
    }

    /// Tells it of an event.
    pub fn tell(&self, event: Event) {
        let is_awaited = is_awaited(&event);
        let Ok(line) = json_line(&Record::now(event)) else { return };
        let mut queue = self.0.queue();
        if queue.over {
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

    /// Tells it nothing more: its connection ends when it was told the rest.
    pub fn close(&mut self) {
        self.0.queue().closed = true;
        self.0.changed.notify_one();
    }

    /// Whether all is written, or can't be.
    pub fn is_flushed(&self) -> bool {
        let queue = self.0.queue();
        queue.over || queue.lines.is_empty()
    }

    /// Waits until all is written, or can't be.
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
                    shared.queue().over = true;
                    return;
                }
                shared.queue().lines.pop_front();
            }
            None if closed => {
                shared.queue().over = true;
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
    async fn a_reader_that_sleeps_gets_the_event_that_it_waits_for() {
        let local = tokio::task::LocalSet::new();
        let told = async {
            let (near, far) = UnixStream::pair().unwrap();
            let watcher = Watcher::new(near);
            for n in 0..3 * LIMIT {
                watcher.tell(Event::Note { message: format!("{n:0200}") });
            }
            watcher.tell(Event::BootReady);
            drop(watcher);
            events(far).await
        };
        let events = local.run_until(told).await;
        assert!(events.len() <= LIMIT + 2, "{}", events.len());
        assert!(events.iter().any(|event| event.contains("boot-ready")));
        assert!(events.iter().any(|event| event.contains("events were not shown")));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_reader_that_went_away_holds_nothing_up() {
        let local = tokio::task::LocalSet::new();
        let told = async {
            let (near, far) = UnixStream::pair().unwrap();
            let watcher = Watcher::new(near);
            drop(far);
            watcher.tell(Event::BootReady);
            watcher.flushed().await;
        };
        local.run_until(told).await;
    }
}
