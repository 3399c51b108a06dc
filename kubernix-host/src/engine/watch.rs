//! Where events go: the cluster's file, and the commands that watch right now.

use super::reducer::RequestId;
use crate::events::{Event, FileSink, Sink, Watcher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long commands that read slowly are waited for when there is nothing more to tell them.
const FLUSH: Duration = Duration::from_secs(1);

/// Which command watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The one that boots.
    Boot,
    /// The one that made this request.
    Request(RequestId),
}

/// Where events go.
pub(super) struct Watched {
    file: FileSink,
    watchers: Mutex<Vec<(By, Watcher)>>,
    /// Commands that are told nothing more, and may not have read everything yet.
    leaving: Mutex<Vec<Watcher>>,
}

impl Watched {
    pub(super) fn new(file: FileSink) -> Self {
        Self { file, watchers: Mutex::default(), leaving: Mutex::default() }
    }

    fn watchers(&self) -> std::sync::MutexGuard<'_, Vec<(By, Watcher)>> {
        // A panic elsewhere leaves the list whole: every change is one call.
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events go to this command as well from now on.
    pub(super) fn add(&self, by: By, watcher: Watcher) {
        self.watchers().push((by, watcher));
    }

    /// A command needs to know nothing more: its connection ends when it was told the rest.
    pub(super) fn end(&self, by: By) {
        let mut watchers = self.watchers();
        if let Some(at) = watchers.iter().position(|(watching, _)| *watching == by) {
            let (_, mut watcher) = watchers.swap_remove(at);
            watcher.close();
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            leaving.retain(|one| !one.is_flushed());
            leaving.push(watcher);
        }
    }

    /// Waits a moment for commands that haven't read everything.
    pub(super) async fn flush(&self) {
        let mut all: Vec<Watcher> = self.watchers().drain(..).map(|(_, watcher)| watcher).collect();
        all.append(&mut self.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        let flushed = async {
            for watcher in &all {
                watcher.flushed().await;
            }
        };
        let _ = tokio::time::timeout(FLUSH, flushed).await;
    }
}

impl Sink for Watched {
    fn emit(&self, event: Event) {
        self.file.emit(event.clone());
        for (_, watcher) in self.watchers().iter() {
            watcher.send(event.clone());
        }
    }
}
