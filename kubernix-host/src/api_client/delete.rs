//! Deletes objects.

use super::objects::ObjectRef;
use super::{Api, Error};
use kube::api::DeleteParams;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time between two checks whether an object is deleted.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Api {
    /// Deletes objects in reverse order, and waits until they and the objects that they own are
    /// deleted. Missing objects are no error, nor are kinds that the server doesn't serve: the
    /// kind's definition may have been among the objects.
    ///
    /// # Errors
    /// A deletion is rejected, or isn't complete at the deadline.
    pub async fn delete(&self, objects: &[ObjectRef], deadline: Instant) -> Result<(), Error> {
        for object in objects.iter().rev() {
            let doing = format!("delete {object}");
            loop {
                let last = match self.delete_once(object, &doing).await {
                    Ok(true) => break,
                    Ok(false) => "it still exists".to_owned(),
                    Err(error @ Error::Request { permanent: true, .. }) => return Err(error),
                    Err(error) => error.to_string(),
                };
                if Instant::now() + POLL_INTERVAL > deadline {
                    return Err(Error::TimedOut { what: format!("the deletion of {object}"), last });
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Requests the deletion of an object; whether it doesn't exist any more.
    async fn delete_once(&self, object: &ObjectRef, doing: &str) -> Result<bool, Error> {
        let Some(objects) = self.api_for(object, doing).await? else { return Ok(true) };
        let delete = async {
            match objects.delete(&object.name, &DeleteParams::foreground()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(true),
                deleted => deleted.map(|_| false),
            }
        };
        self.request(doing, delete).await
    }
}
