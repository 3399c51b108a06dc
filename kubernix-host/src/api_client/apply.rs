//! Applies manifests with server-side apply.

use super::objects::{ObjectRef, objects};
use super::{Api, Error, FIELD_MANAGER};
use kube::api::{DynamicObject, Patch, PatchParams};
use kubernix_core::Manifest;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time before an object is applied again: its kind, its namespace or an admission webhook may
/// not be available yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

impl Api {
    /// Applies all objects of a manifest in order, as the field manager `kubernix`, and takes over
    /// fields of other managers. Objects without a namespace are created in `default`. Failures
    /// that may be temporary (a missing namespace, a kind whose definition was just applied) are
    /// retried until the deadline. Returns the applied objects: `Deployment kube-system/coredns`.
    ///
    /// # Errors
    /// The manifest is malformed, an object is rejected, or the deadline passed. Objects that were
    /// applied before stay.
    pub async fn apply(&self, manifest: &Manifest, deadline: Instant) -> Result<Vec<String>, Error> {
        let mut applied = Vec::new();
        for object in objects(manifest)? {
            let label = ObjectRef::of(&object).to_string();
            loop {
                match self.apply_object(&object, &label).await {
                    Ok(()) => break,
                    Err(error @ Error::Request { permanent: true, .. }) => return Err(error),
                    Err(error) if Instant::now() + RETRY_INTERVAL > deadline => {
                        let what = format!("{label} of manifest `{}`", manifest.name);
                        return Err(Error::TimedOut { what, last: error.to_string() });
                    }
                    Err(_) => sleep(RETRY_INTERVAL).await,
                }
            }
            applied.push(label);
        }
        Ok(applied)
    }

    async fn apply_object(&self, object: &DynamicObject, label: &str) -> Result<(), Error> {
        let doing = format!("apply {label}");
        let kind = ObjectRef::of(object);
        let objects = self.api_for(&kind, &doing).await?.ok_or_else(|| Error::Request {
            doing: doing.clone(),
            cause: format!("{} serves no {} of {}", self.server, kind.kind, kind.api_version),
            permanent: false,
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
    async fn objects_are_applied_in_order_and_temporary_failures_are_retried() {
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
            error.starts_with("timed out waiting for Nothing x of manifest `test`: cannot apply Nothing x"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_of_another_cluster_is_rejected_at_once() {
        let (socket, url) = Server::reserve();
        let _server = Server::start(socket, &Authority::new(), |_| answer(200, "{}"));
        let api = Api::connect(&url, &Authority::new().client("admin")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let nothing = manifest("{apiVersion: v1, kind: Namespace, metadata: {name: a}}");
        let error = api.apply(&nothing, deadline).await.unwrap_err().to_string();
        assert!(error.contains(&format!("the certificate of {url} is not trusted")), "{error}");
    }
}
