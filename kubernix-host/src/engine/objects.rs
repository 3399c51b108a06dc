//! Applies the API objects of instances, and deletes those of removed instances. A file records
//! what was applied.

use super::Cluster;
use super::clients::ApiError;
use super::planned::Planned;
use super::reducer::{InstanceId, Time};
use crate::api_client::{Api, ObjectRef, objects_of};
use crate::events::Event;
use crate::root_dir::write_durable;
use kubernix_core::Manifest;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long the deletion of objects may take.
const DELETE_TIMEOUT: Duration = Duration::from_secs(60);

impl Cluster {
    /// Applies an instance's objects.
    pub(super) async fn apply(&self, id: InstanceId, until: Option<Time>) -> Result<(), ApiError> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let deadline = self.deadline(until);
        let api = self.api()?.ok_or(ApiError::NoServer)?;
        apply_all(&api, &planned.instance.plan.manifests, deadline).await
    }

    /// Deletes recorded objects that no instance needs. Objects that can't be deleted stay in the
    /// record, so that the next call tries again.
    pub(super) async fn prune(&self) {
        let needed = self.needed_objects();
        let mut surplus = self.recorded_objects();
        surplus.retain(|object| !needed.contains(object));
        let mut record = needed;
        if let (Ok(Some(api)), false) = (self.api(), surplus.is_empty())
            && let Err(error) = api.delete(&surplus, Instant::now() + DELETE_TIMEOUT).await
        {
            let message = format!("not all objects of removed components could be deleted: {error}");
            self.emit(Event::Warning { message });
            record.extend(surplus);
        }
        self.record(&record);
    }

    /// Records objects before they are applied, so that they can be deleted even if the boot or
    /// change fails.
    pub(super) fn record_objects(&self) {
        let mut record = self.recorded_objects();
        let new: Vec<ObjectRef> = self.needed_objects().into_iter().filter(|object| !record.contains(object)).collect();
        record.extend(new);
        self.record(&record);
    }

    fn record(&self, objects: &[ObjectRef]) {
        let text = serde_json::to_vec(objects).unwrap_or_default();
        if let Err(error) = write_durable(&self.root.applied(), &text, 0o600) {
            self.emit(Event::Warning { message: error.to_string() });
        }
    }

    /// The objects of all instances, in the order of their application. They are deleted in reverse
    /// order.
    fn needed_objects(&self) -> Vec<ObjectRef> {
        self.instances().iter().flat_map(|planned| objects_of_plan(planned)).collect()
    }

    /// The recorded objects. If the record can't be read, the user gets a warning, because objects
    /// of removed components then remain.
    fn recorded_objects(&self) -> Vec<ObjectRef> {
        let path = self.root.applied();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return self.empty_record(&path, &error),
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| self.empty_record(&path, &error))
    }

    fn empty_record(&self, path: &Path, error: &dyn std::error::Error) -> Vec<ObjectRef> {
        let message = format!(
            "{} can't be read ({error}): objects of components that were removed before aren't deleted; \
             a new record is created",
            path.display()
        );
        self.emit(Event::Warning { message });
        Vec::new()
    }
}

/// Applies objects in order, until the first failure.
///
/// # Errors
/// An object can't be applied by the deadline.
pub(super) async fn apply_all(api: &Api, manifests: &[Manifest], deadline: Instant) -> Result<(), ApiError> {
    for manifest in manifests {
        let applied = api.apply(manifest, deadline).await;
        applied.map_err(|cause| ApiError::Apply { cause, timed_out: Instant::now() >= deadline })?;
    }
    Ok(())
}

fn objects_of_plan(planned: &Planned) -> Vec<ObjectRef> {
    planned.instance.plan.manifests.iter().flat_map(|manifest| objects_of(manifest).unwrap_or_default()).collect()
}
