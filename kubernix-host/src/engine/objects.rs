//! What components want of the API: applied when it is ready and their images are there, and taken away with them.

use super::instance::Live;
use super::{BootFailure, Cluster};
use crate::api::{Api, ObjectRef, objects_of};
use crate::events::Event;
use crate::root::{Root, write_atomic};
use kubernix_core::{Role, roles};
use std::fs;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How long objects may take to go away.
const GOING: Duration = Duration::from_secs(60);

impl Cluster {
    /// Imports the images that instances have built and applies their manifests, each instance beside the others; then deletes
    /// what was applied once and no instance wants any more.
    pub(super) async fn furnish(
        &self,
        instances: &[Rc<Live>],
        api: Option<&Api>,
        root: &Root,
        deadline: Instant,
    ) -> Result<(), BootFailure> {
        self.announce_objects(root);
        let each = instances.iter().map(|live| async move {
            let failed = |why| BootFailure::Step {
                step: format!("manifests of {}", live.name()),
                why,
                late: Instant::now() >= deadline,
            };
            self.load_builds(live).await.map_err(failed)?;
            if live.planned.plan.manifests.is_empty() {
                return Ok(());
            }
            let (Some(server), Some(api)) = (self.provider(roles::APISERVER), api) else {
                return Err(failed("the cluster has no API server".into()));
            };
            self.board.wait(&server.planned.at(&Role::new(roles::APISERVER))).await;
            for manifest in &live.planned.plan.manifests {
                api.apply(manifest, deadline).await.map_err(|error| failed(error.to_string()))?;
            }
            Ok(())
        });
        futures_util::future::try_join_all(each).await?;
        self.prune(api, root).await;
        Ok(())
    }

    /// Deletes what was applied and isn't wanted any more. What can't be deleted stays on record, for the next time.
    async fn prune(&self, api: Option<&Api>, root: &Root) {
        let wanted = self.wanted();
        let mut surplus = applied(root);
        surplus.retain(|object| !wanted.contains(object));
        let mut record = wanted;
        if let (Some(api), false) = (api, surplus.is_empty())
            && let Err(error) = api.delete(&surplus, Instant::now() + GOING).await
        {
            self.emit(Event::Warning { message: format!("what a removed component applied is not all gone: {error}") });
            record.extend(surplus);
        }
        self.record(root, &record);
    }

    /// Puts on record what is about to be applied: whatever becomes of this boot, it can be taken away again.
    fn announce_objects(&self, root: &Root) {
        let mut record = applied(root);
        let new: Vec<ObjectRef> = self.wanted().into_iter().filter(|object| !record.contains(object)).collect();
        record.extend(new);
        self.record(root, &record);
    }

    fn record(&self, root: &Root, objects: &[ObjectRef]) {
        let text = serde_json::to_vec(objects).unwrap_or_default();
        if let Err(error) = write_atomic(&root.applied(), &text, 0o600) {
            self.emit(Event::Warning { message: error.to_string() });
        }
    }

    /// In the order in which they are applied: they go in the opposite one.
    fn wanted(&self) -> Vec<ObjectRef> {
        self.instances().iter().flat_map(|live| wanted(live)).collect()
    }
}

fn applied(root: &Root) -> Vec<ObjectRef> {
    let text = fs::read(root.applied()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn wanted(live: &Live) -> Vec<ObjectRef> {
    live.planned.plan.manifests.iter().flat_map(|manifest| objects_of(manifest).unwrap_or_default()).collect()
}
