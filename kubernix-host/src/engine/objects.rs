//! What components want of the API: applied when it is ready and their images are there, and taken
//! away with them.

use super::Cluster;
use super::planned::Planned;
use super::reducer::{Fault, InstanceId, Time};
use crate::api::{Api, ObjectRef, objects_of};
use crate::events::Event;
use crate::root::write_durable;
use kubernix_core::Manifest;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long objects may take to go away.
const DELETE_LIMIT: Duration = Duration::from_secs(60);

impl Cluster {
    /// Applies an instance's objects.
    pub(super) async fn apply(&self, id: InstanceId, until: Option<Time>) -> Result<(), Fault> {
        let Some(planned) = self.instance(id) else { return Ok(()) };
        let deadline = self.deadline(until);
        let api = self.api().map_err(Fault::new)?.ok_or_else(|| Fault::new("the cluster has no API server"))?;
        apply_all(&api, &planned.instance.plan.manifests, deadline).await
    }

    /// Deletes what was applied and isn't wanted any more. What can't be deleted stays on record,
    /// for the next time.
    pub(super) async fn prune(&self) {
        let wanted = self.wanted();
        let mut surplus = self.applied();
        surplus.retain(|object| !wanted.contains(object));
        let mut record = wanted;
        if let (Ok(Some(api)), false) = (self.api(), surplus.is_empty())
            && let Err(error) = api.delete(&surplus, Instant::now() + DELETE_LIMIT).await
        {
            self.emit(Event::Warning { message: format!("what a removed component applied is not all gone: {error}") });
            record.extend(surplus);
        }
        self.record(&record);
    }

    /// Puts on record what is about to be applied: whatever becomes of this boot, it can be taken
    /// away again.
    pub(super) fn announce_objects(&self) {
        let mut record = self.applied();
        let new: Vec<ObjectRef> = self.wanted().into_iter().filter(|object| !record.contains(object)).collect();
        record.extend(new);
        self.record(&record);
    }

    fn record(&self, objects: &[ObjectRef]) {
        let text = serde_json::to_vec(objects).unwrap_or_default();
        if let Err(error) = write_durable(&self.root.applied(), &text, 0o600) {
            self.emit(Event::Warning { message: error.to_string() });
        }
    }

    /// In the order in which they are applied: they go in the opposite one.
    fn wanted(&self) -> Vec<ObjectRef> {
        self.instances().iter().flat_map(|planned| wanted(planned)).collect()
    }

    /// What was applied once. A record that can't be read is said: objects that no component wants
    /// any more then stay.
    fn applied(&self) -> Vec<ObjectRef> {
        let path = self.root.applied();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return self.without_record(&path, &error),
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| self.without_record(&path, &error))
    }

    fn without_record(&self, path: &Path, error: &dyn std::error::Error) -> Vec<ObjectRef> {
        let message = format!(
            "{} can't be read ({error}): objects of components that were removed before are not deleted; the record begins anew",
            path.display()
        );
        self.emit(Event::Warning { message });
        Vec::new()
    }
}

/// Applies objects, in their order.
///
/// # Errors
/// One can't be applied by the deadline. The others after it aren't tried.
pub(super) async fn apply_all(api: &Api, manifests: &[Manifest], deadline: Instant) -> Result<(), Fault> {
    for manifest in manifests {
        let applied = api.apply(manifest, deadline).await;
        applied.map_err(|error| Fault { late: Instant::now() >= deadline, ..Fault::new(error.to_string()) })?;
    }
    Ok(())
}

fn wanted(planned: &Planned) -> Vec<ObjectRef> {
    planned.instance.plan.manifests.iter().flat_map(|manifest| objects_of(manifest).unwrap_or_default()).collect()
}
