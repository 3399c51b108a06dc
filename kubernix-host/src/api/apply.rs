//! Manifests, put in place by server-side apply.

use super::{Api, Error, FIELD_MANAGER};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::core::GroupVersion;
use kube::discovery::{ApiCapabilities, Scope, pinned_group};
use kubernix_core::Manifest;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// Pause before an object is tried again: its kind, its namespace or an admission webhook may come up only now.
const RETRY: Duration = Duration::from_millis(100);

/// The kinds of each group version (`v1`, `apps/v1`) that was asked for; shared by all who ask, so that each is fetched once.
pub(super) type Kinds = Arc<Mutex<HashMap<String, Vec<(ApiResource, ApiCapabilities)>>>>;

impl Api {
    /// Applies all objects of a manifest in their order, as the field manager `kubernix`, overruling others. Objects without
    /// a namespace go to `default`. What may come true later (a kind that a definition before it just introduced, a
    /// namespace) is tried again until the deadline. Returns what was applied: `Deployment kube-system/coredns`.
    ///
    /// # Errors
    /// The manifest can't be read, an object is refused, or the deadline passed. What was applied before stays.
    pub async fn apply(&self, manifest: &Manifest, deadline: Instant) -> Result<Vec<String>, Error> {
        let mut applied = Vec::new();
        for object in objects(manifest)? {
            let label = label(&object);
            loop {
                match self.apply_object(&object, &label).await {
                    Ok(()) => break,
                    Err(error @ Error::Request { hopeless: true, .. }) => return Err(error),
                    Err(error) if Instant::now() + RETRY > deadline => {
                        let what = format!("{label} of manifest `{}`", manifest.name);
                        return Err(Error::TimedOut { what, last: error.to_string() });
                    }
                    Err(_) => sleep(RETRY).await,
                }
            }
            applied.push(label);
        }
        Ok(applied)
    }

    async fn apply_object(&self, object: &DynamicObject, label: &str) -> Result<(), Error> {
        let doing = format!("apply {label}");
        let (resource, capabilities) = self.kind_of(object, &doing).await?;
        let objects = match capabilities.scope {
            Scope::Cluster => kube::Api::<DynamicObject>::all_with(self.client.clone(), &resource),
            Scope::Namespaced => {
                let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
                kube::Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
        };
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.request(&doing, objects.patch(name, &params, &Patch::Apply(object))).await.map(drop)
    }

    /// How the server serves objects of this one's kind. A group is asked for again when it lacks the kind.
    async fn kind_of(&self, object: &DynamicObject, doing: &str) -> Result<(ApiResource, ApiCapabilities), Error> {
        let failed = |cause: String, hopeless| Error::Request { doing: doing.to_owned(), cause, hopeless };
        let types = object.types.clone().unwrap_or_default();
        let kind = GroupVersionKind::try_from(&types).map_err(|error| failed(error.to_string(), true))?;
        let version = GroupVersion::gv(&kind.group, &kind.version);
        let mut kinds = self.kinds.lock().await;
        let find =
            |known: &[(ApiResource, ApiCapabilities)]| known.iter().find(|(it, _)| it.kind == kind.kind).cloned();
        if let Some(found) = kinds.get(&types.api_version).and_then(|known| find(known)) {
            return Ok(found);
        }
        let group = self.request(doing, pinned_group(&self.client, &version)).await?;
        let known = group.versioned_resources(&version.version);
        let found = find(&known);
        kinds.insert(types.api_version.clone(), known);
        found.ok_or_else(|| failed(format!("{} serves no {} of {}", self.server, types.kind, types.api_version), false))
    }
}

/// The objects of a manifest, in order; lists are taken apart.
fn objects(manifest: &Manifest) -> Result<Vec<DynamicObject>, Error> {
    let wrong = |cause: String| Error::Manifest { name: manifest.name.clone(), cause };
    // Kubernetes reads YAML 1.1 here: a file mode of 0644 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(&manifest.yaml, options);
    let documents = documents.map_err(|error| wrong(error.to_string()))?;
    let mut objects = Vec::new();
    for (index, mut document) in documents.into_iter().enumerate() {
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        let items = match document.get_mut("items") {
            Some(Value::Array(items)) if is_list => std::mem::take(items),
            _ => vec![document],
        };
        for item in items {
            let number = index + 1;
            let object: DynamicObject = serde_json::from_value(item)
                .map_err(|error| wrong(format!("document {number} is not a Kubernetes object: {error}")))?;
            if object.types.is_none() || object.metadata.name.as_deref().is_none_or(str::is_empty) {
                return Err(wrong(format!("document {number} lacks one of apiVersion, kind and metadata.name")));
            }
            objects.push(object);
        }
    }
    Ok(objects)
}

fn label(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |types| &types.kind);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    match &object.metadata.namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Server, answer};
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    fn manifest(yaml: &str) -> Manifest {
        Manifest::new("test", yaml)
    }

    #[test]
    fn documents_lists_and_old_octals_are_read() {
        let yaml = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nmode: 0644\n---\n# nothing\n---\n\
            apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n\
            - {apiVersion: v1, kind: Secret, metadata: {name: c, namespace: b}}\n";
        let found = objects(&manifest(yaml)).unwrap();
        assert_eq!(found.iter().map(label).collect::<Vec<_>>(), ["ConfigMap a", "Namespace b", "Secret b/c"]);
        assert_eq!(found[0].data["mode"], 420);
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said_with_its_place() {
        let error = objects(&manifest("kind: A\n---\nb: [1\n")).unwrap_err().to_string();
        assert!(error.starts_with("manifest `test`: ") && error.contains("line 3"), "{error}");
        let error = objects(&manifest("apiVersion: v1\nkind: A\nmetadata: {}\n")).unwrap_err().to_string();
        assert_eq!(error, "manifest `test`: document 1 lacks one of apiVersion, kind and metadata.name");
        let error = objects(&manifest("just text")).unwrap_err().to_string();
        assert!(error.contains("document 1 is not a Kubernetes object"), "{error}");
    }

    const KINDS: &str = r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[
        {"name":"namespaces","singularName":"","namespaced":false,"kind":"Namespace","verbs":["patch"]},
        {"name":"configmaps","singularName":"","namespaced":true,"kind":"ConfigMap","verbs":["patch"]}]}"#;

    #[tokio::test]
    async fn objects_are_patched_in_order_and_tried_again_where_that_helps() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, count) = (seen.clone(), AtomicUsize::new(0));
        let _server = Server::start(socket, &authority, move |request| {
            let path = request.uri().path().to_owned();
            log.lock().unwrap().push(format!("{} {path}", request.method()));
            match &*path {
                "/api/v1" => return answer(200, KINDS),
                "/api/v1/namespaces/a/configmaps/m" if count.fetch_add(1, Ordering::SeqCst) == 0 => {
                    return answer(404, r#"{"kind":"Status","code":404,"message":"namespaces \"a\" not found"}"#);
                }
                "/api/v1/namespaces/default/configmaps/bad" => {
                    return answer(422, r#"{"kind":"Status","code":422,"message":"data: Invalid value"}"#);
                }
                _ => {}
            }
            assert_eq!(request.uri().query(), Some("&force=true&fieldManager=kubernix"));
            assert_eq!(request.headers()["content-type"], "application/apply-patch+yaml");
            answer(200, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"}}"#)
        });
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        let good = manifest(
            "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n\
             {apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: a}}\n",
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(api.apply(&good, deadline).await.unwrap(), ["Namespace a", "ConfigMap a/m"]);
        assert_eq!(
            *seen.lock().unwrap(),
            [
                "GET /api/v1",
                "PATCH /api/v1/namespaces/a",
                "PATCH /api/v1/namespaces/a/configmaps/m",
                "PATCH /api/v1/namespaces/a/configmaps/m"
            ]
        );

        let bad = manifest("{apiVersion: v1, kind: ConfigMap, metadata: {name: bad}}");
        let error = api.apply(&bad, deadline).await.unwrap_err().to_string();
        assert_eq!(error, format!("cannot apply ConfigMap bad: {url} answers 422: data: Invalid value"));
        let late = api.apply(&manifest("{apiVersion: v1, kind: Nothing, metadata: {name: x}}"), Instant::now()).await;
        let error = late.unwrap_err().to_string();
        assert!(
            error.starts_with("Nothing x of manifest `test` is not there in time: cannot apply Nothing x"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_of_another_cluster_is_not_waited_for() {
        let (socket, url) = Server::reserve();
        let _server = Server::start(socket, &Authority::new(), |_| answer(200, "{}"));
        let api = Api::connect(&url, &Authority::new().client("admin")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let nothing = manifest("{apiVersion: v1, kind: Namespace, metadata: {name: a}}");
        let error = api.apply(&nothing, deadline).await.unwrap_err().to_string();
        assert!(error.contains("certificate is not trusted"), "{error}");
    }
}
