//! Parses the objects of manifests, and finds the server's resources for their kinds.

use super::{Api, Error};
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersion;
use kube::discovery::{ApiCapabilities, Scope, pinned_group};
use kubernix_core::Manifest;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The kinds of each requested group version (`v1`, `apps/v1`). Clones share it, so that each is
/// fetched once.
pub(super) type Kinds = Arc<Mutex<HashMap<String, Vec<(ApiResource, ApiCapabilities)>>>>;

/// One object of the cluster. Prints as `Deployment kube-system/coredns`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its namespace, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    pub(super) fn of(object: &DynamicObject) -> Self {
        let types = object.types.clone().unwrap_or_default();
        Self {
            api_version: types.api_version,
            kind: types.kind,
            namespace: object.metadata.namespace.clone(),
            name: object.metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// The objects of a manifest, in order.
///
/// # Errors
/// The manifest is malformed. The error has the reason and the position.
pub fn objects_of(manifest: &Manifest) -> Result<Vec<ObjectRef>, Error> {
    Ok(objects(manifest)?.iter().map(ObjectRef::of).collect())
}

impl Api {
    /// A client for objects of this one's kind and namespace (`default` without one). `None`: the
    /// server doesn't serve that kind at the moment.
    pub(super) async fn api_for(
        &self,
        object: &ObjectRef,
        doing: &str,
    ) -> Result<Option<kube::Api<DynamicObject>>, Error> {
        let Some((resource, capabilities)) = self.kind_of(object, doing).await? else { return Ok(None) };
        Ok(Some(match capabilities.scope {
            Scope::Cluster => kube::Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => {
                let namespace = object.namespace.as_deref().unwrap_or("default");
                kube::Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
        }))
    }

    /// The server's resource for objects of this one's kind. Fetches a group again if the kind is
    /// missing.
    async fn kind_of(&self, object: &ObjectRef, doing: &str) -> Result<Option<(ApiResource, ApiCapabilities)>, Error> {
        let version: GroupVersion = object.api_version.parse().map_err(|_| Error::Request {
            doing: doing.to_owned(),
            cause: format!("`{}` is not a version of an API group", object.api_version),
            permanent: true,
        })?;
        let mut kinds = self.kinds.lock().await;
        let find =
            |known: &[(ApiResource, ApiCapabilities)]| known.iter().find(|(it, _)| it.kind == object.kind).cloned();
        if let Some(found) = kinds.get(&object.api_version).and_then(|known| find(known)) {
            return Ok(Some(found));
        }
        let group = async {
            match pinned_group(&self.client, &version).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
                group => group.map(Some),
            }
        };
        let Some(group) = self.request(doing, group).await? else { return Ok(None) };
        let known = group.versioned_resources(&version.version);
        let found = find(&known);
        kinds.insert(object.api_version.clone(), known);
        Ok(found)
    }
}

/// The objects of a manifest, in order. Lists are replaced by their items.
pub(super) fn objects(manifest: &Manifest) -> Result<Vec<DynamicObject>, Error> {
    let malformed = |cause: String| Error::Manifest { name: manifest.name.clone(), cause };
    let values = crate::text::manifest::objects(&manifest.yaml).map_err(|error| malformed(error.to_string()))?;
    let objects =
        values.into_iter().map(|value| serde_json::from_value(value).map_err(|error| malformed(error.to_string())));
    objects.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(yaml: &str) -> Manifest {
        Manifest::new("test", yaml)
    }

    #[test]
    fn documents_lists_and_yaml_1_1_octals_are_parsed() {
        let yaml = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nmode: 0644\n---\n# nothing\n---\n\
            apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n\
            - {apiVersion: v1, kind: Secret, metadata: {name: c, namespace: b}}\n";
        let found = objects(&manifest(yaml)).unwrap();
        assert_eq!(
            found.iter().map(|it| ObjectRef::of(it).to_string()).collect::<Vec<_>>(),
            ["ConfigMap a", "Namespace b", "Secret b/c"]
        );
        assert_eq!(found[0].data["mode"], 420);
    }

    #[test]
    fn malformed_manifests_are_rejected_with_the_position() {
        let error = objects(&manifest("kind: A\n---\nb: [1\n")).unwrap_err().to_string();
        assert!(error.starts_with("manifest `test`: ") && error.contains("line 3"), "{error}");
        let error = objects(&manifest("apiVersion: v1\nkind: A\nmetadata: {}\n")).unwrap_err().to_string();
        assert_eq!(error, "manifest `test`: document 1 lacks one of apiVersion, kind and metadata.name");
        let error = objects(&manifest("just text")).unwrap_err().to_string();
        assert!(error.contains("document 1 is not a Kubernetes object"), "{error}");
    }
}
