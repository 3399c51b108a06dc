//! Waiting for one object by one request that stays open.

use super::transport::{Failure, FailureKind};
use super::{Error, REQUEST_TIMEOUT};
use futures_util::TryStreamExt;
use kube::Resource;
use kube::api::{WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Before the API server listens, and after it ended a watch.
const RECONNECT: Duration = Duration::from_millis(15);

/// After an answer that is none: permissions that are not there yet, caches that are still being filled.
const RETRY: Duration = Duration::from_millis(50);

/// After how long the API server ends a watch that saw nothing, in seconds. We then ask anew.
const WATCH_SECONDS: u32 = 290;

/// Waits until the object `name` satisfies `accept`, which else says what is missing. `last` always holds what was seen
/// last, for whoever gives up waiting. Has no end of its own: the caller sets one.
///
/// # Errors
/// To go on waiting would be in vain.
pub(crate) async fn until<K, T>(
    objects: &kube::Api<K>,
    name: &str,
    last: &mut String,
    accept: impl Fn(&K) -> Result<T, String>,
) -> Result<T, Error>
where
    K: Resource + Clone + DeserializeOwned + Debug + 'static,
{
    loop {
        let pause = match watch(objects, name, last, &accept).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => RECONNECT,
            Err(error) => {
                let failure = Failure::of_api("the API server", &error);
                *last = failure.text;
                match failure.kind {
                    FailureKind::Refused => RECONNECT,
                    FailureKind::Busy => RETRY,
                    FailureKind::Hopeless => {
                        let doing = format!("watch `{}`", objects.resource_url());
                        return Err(Error::Request { doing, cause: last.clone(), hopeless: true });
                    }
                }
            }
        };
        sleep(pause).await;
    }
}

/// One watch, to its end. `None`: the server ended it.
async fn watch<K, T>(
    objects: &kube::Api<K>,
    name: &str,
    last: &mut String,
    accept: &impl Fn(&K) -> Result<T, String>,
) -> kube::Result<Option<T>>
where
    K: Resource + Clone + DeserializeOwned + Debug + 'static,
{
    // From version 0 the server begins with what its cache holds, so that no list has to come first.
    let params =
        WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS).disable_bookmarks();
    let Ok(started) = timeout(REQUEST_TIMEOUT, objects.watch(&params, "0")).await else {
        *last = format!("the API server did not begin a watch within {} s", REQUEST_TIMEOUT.as_secs());
        return Ok(None);
    };
    let mut events = pin!(started?);
    *last = format!("`{name}` does not exist yet");
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => match accept(&object) {
                Ok(found) => return Ok(Some(found)),
                Err(missing) => *last = missing,
            },
            WatchEvent::Deleted(_) => *last = format!("`{name}` was deleted"),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(None)
}
