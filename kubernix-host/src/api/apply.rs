//! Manifests, put in place by server-side apply.

use super::objects::{ObjectRef, objects};
use super::{Api, Error, FIELD_MANAGER};
use kube::api::{DynamicObject, Patch, PatchParams};
use kubernix_core::Manifest;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Pause before an object is tried again: its kind, its namespace or an admission webhook may come up only now.
const RETRY: Duration = Duration::from_millis(100);

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
            let label = ObjectRef::of(&object).to_string();
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
        let kind = ObjectRef::of(object);
        let objects = self.place_of(&kind, &doing).await?.ok_or_else(|| Error::Request {
            doing: doing.clone(),
            cause: format!("{} serves no {} of {}", self.server, kind.kind, kind.api_version),
            hopeless: false,
        })?;
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.request(&doing, objects.patch(name, &params, &Patch::Apply(object))).await.map(drop)
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
