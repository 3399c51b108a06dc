//! Objects that nobody wants any more.

use super::objects::ObjectRef;
use super::{Api, Error};
use kube::api::DeleteParams;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks whether an object is gone.
const PAUSE: Duration = Duration::from_millis(100);

impl Api {
    /// Deletes objects, the last first, and waits until they and what they own are gone. What isn't there is fine, as is a kind
    /// that the server doesn't know any more: its definition was among them.
    ///
    /// # Errors
    /// One is refused, or isn't gone in time.
    pub async fn delete(&self, objects: &[ObjectRef], deadline: Instant) -> Result<(), Error> {
        for object in objects.iter().rev() {
            let doing = format!("delete {object}");
            loop {
                let last = match self.delete_once(object, &doing).await {
                    Ok(true) => break,
                    Ok(false) => "it is still there".to_owned(),
                    Err(error @ Error::Request { hopeless: true, .. }) => return Err(error),
                    Err(error) => error.to_string(),
                };
                if Instant::now() + PAUSE > deadline {
                    return Err(Error::TimedOut { what: format!("the end of {object}"), last });
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Whether it is gone.
    async fn delete_once(&self, object: &ObjectRef, doing: &str) -> Result<bool, Error> {
        let Some(place) = self.place_of(object, doing).await? else { return Ok(true) };
        let delete = async {
            match place.delete(&object.name, &DeleteParams::foreground()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(true),
                deleted => deleted.map(|_| false),
            }
        };
        self.request(doing, delete).await
    }
}
