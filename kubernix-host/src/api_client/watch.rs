//! Waits for a condition of one object with a watch.

use super::transport::{Failure, FailureKind};
use super::{Error, NotReady, REQUEST_TIMEOUT};
use futures_util::TryStreamExt;
use kube::Resource;
use kube::api::{WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The time before another attempt to connect, and after the API server ended a watch.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(15);

/// The time before a retry after an error response: permissions or caches may not be complete yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The duration of a watch, in seconds. The API server ends it, and a new one is started.
const WATCH_SECONDS: u32 = 290;

/// Waits until `accept` succeeds for the object `name`. `last` always has the last observation, for
/// the error after a timeout. Has no time limit: the caller sets one.
///
/// # Errors
/// A request failed permanently.
pub(crate) async fn until<K, T>(
    objects: &kube::Api<K>,
    name: &str,
    last: &mut String,
    accept: impl Fn(&K) -> Result<T, NotReady>,
) -> Result<T, Error>
where
    K: Resource + Clone + DeserializeOwned + Debug + 'static,
{
    loop {
        let pause = match watch(objects, name, last, &accept).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => RECONNECT_INTERVAL,
            Err(error) => {
                let failure = Failure::of_api("the API server", &error);
                *last = failure.text;
                match failure.kind {
                    FailureKind::Refused => RECONNECT_INTERVAL,
                    FailureKind::Busy => RETRY_INTERVAL,
                    FailureKind::Permanent => {
                        let doing = format!("watch `{}`", objects.resource_url());
                        return Err(Error::Request { doing, cause: last.clone(), permanent: true });
                    }
                }
            }
        };
        sleep(pause).await;
    }
}

/// Runs one watch to its end. `None`: the server ended it.
async fn watch<K, T>(
    objects: &kube::Api<K>,
    name: &str,
    last: &mut String,
    accept: &impl Fn(&K) -> Result<T, NotReady>,
) -> kube::Result<Option<T>>
where
    K: Resource + Clone + DeserializeOwned + Debug + 'static,
{
    // With version 0 the server begins with the content of its cache, so no list is needed before.
    let params =
        WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS).disable_bookmarks();
    let Ok(started) = timeout(REQUEST_TIMEOUT, objects.watch(&params, "0")).await else {
        *last = format!("the API server did not start a watch within {} s", REQUEST_TIMEOUT.as_secs());
        return Ok(None);
    };
    let mut events = pin!(started?);
    *last = format!("`{name}` does not exist yet");
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => match accept(&object) {
                Ok(found) => return Ok(Some(found)),
                Err(missing) => *last = missing.to_string(),
            },
            WatchEvent::Deleted(_) => *last = format!("`{name}` was deleted"),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(None)
}
