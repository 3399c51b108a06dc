//! Broadcasts events to the cluster's event file and to the commands that are connected.

use super::reducer::RequestId;
use crate::events::{Event, FileSink, Sink, Watcher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the engine waits at its end for commands that read slowly.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A command that receives events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscriber {
    /// The command that boots.
    Boot,
    /// The command that made this request.
    Request(RequestId),
}

/// Sends events to a file and to subscribed commands.
pub(super) struct Broadcast {
    file: FileSink,
    watchers: Mutex<Vec<(Subscriber, Watcher)>>,
    /// Unsubscribed commands that may not have read all their events yet.
    closing: Mutex<Vec<Watcher>>,
}

impl Broadcast {
    pub(super) fn new(file: FileSink) -> Self {
        Self { file, watchers: Mutex::default(), closing: Mutex::default() }
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<(Subscriber, Watcher)>> {
        // A panic can't leave the list inconsistent: every modification is one call.
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends events to this command as well from now on.
    pub(super) fn add(&self, subscriber: Subscriber, watcher: Watcher) {
        self.watchers().push((subscriber, watcher));
    }

    /// Sends no further events to a command. Its connection closes once the earlier ones are sent.
    pub(super) fn end(&self, subscriber: Subscriber) {
        let mut watchers = self.watchers();
        if let Some(at) = watchers.iter().position(|(other, _)| *other == subscriber) {
            let (_, mut watcher) = watchers.swap_remove(at);
            watcher.close();
            let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
            closing.retain(|one| !one.is_flushed());
            closing.push(watcher);
        }
    }

    /// Waits until all commands have read their events, at most for [`FLUSH_TIMEOUT`].
    pub(super) async fn flush(&self) {
        let mut all: Vec<Watcher> = self.watchers().drain(..).map(|(_, watcher)| watcher).collect();
        all.append(&mut self.closing.lock().unwrap_or_else(PoisonError::into_inner));
        let flushed = async {
            for watcher in &all {
                watcher.flushed().await;
            }
        };
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flushed).await;
    }
}

impl Sink for Broadcast {
    fn emit(&self, event: Event) {
        self.file.emit(event.clone());
        for (_, watcher) in self.watchers().iter() {
            watcher.send(event.clone());
        }
    }
}
