//! Publishes the cluster's CA to pods: the ConfigMap `kube-root-ca.crt` of every namespace.
//!
//! kube-controller-manager updates these ConfigMaps, but only a second after kubelets have started
//! pods. Most clients in pods read the CA once at their start, and never reach the API with an
//! outdated one.
//!
//! Source: `pkg/controller/certificates/rootcacertpublisher` of Kubernetes, and its documentation,
//! 'Manual Rotation of CA Certificates'.

use super::{Api, Error};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The ConfigMap's name.
const NAME: &str = "kube-root-ca.crt";
/// Its key.
const KEY: &str = "ca.crt";
/// The time before another attempt: the API server may not accept writes yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

impl Api {
    /// Replaces the CA in every namespace that has another one. `ca`: PEM. kube-controller-manager
    /// creates the ConfigMap in namespaces without one. Retries after every error until the
    /// deadline, because a starting API server rejects writes for temporary reasons.
    ///
    /// # Errors
    /// The deadline passed. The error has the last response.
    pub async fn publish_authority(&self, ca: &str, deadline: Instant) -> Result<(), Error> {
        loop {
            match self.replace_authority(ca).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() + RETRY_INTERVAL > deadline => {
                    let what = format!("the cluster's CA in ConfigMap {NAME} of every namespace");
                    return Err(Error::TimedOut { what, last: error.to_string() });
                }
                Err(_) => sleep(RETRY_INTERVAL).await,
            }
        }
    }

    async fn replace_authority(&self, ca: &str) -> Result<(), Error> {
        let all = kube::Api::<ConfigMap>::all(self.client.clone());
        let of_name = ListParams::default().fields(&format!("metadata.name={NAME}"));
        let found = self.request(&format!("list ConfigMaps {NAME}"), all.list(&of_name)).await?;
        let content = Patch::Merge(json!({ "data": { KEY: ca } }));
        for config in found.items {
            if config.data.is_some_and(|data| data.get(KEY).is_some_and(|text| text == ca)) {
                continue;
            }
            let namespace = config.metadata.namespace.unwrap_or_default();
            let api = kube::Api::<ConfigMap>::namespaced(self.client.clone(), &namespace);
            let doing = format!("change ConfigMap {namespace}/{NAME}");
            self.request(&doing, api.patch(NAME, &PatchParams::default(), &content)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Server, answer};
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    const LIST: &str = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[
        {"metadata":{"name":"kube-root-ca.crt","namespace":"old"},"data":{"ca.crt":"older"}},
        {"metadata":{"name":"kube-root-ca.crt","namespace":"empty"}},
        {"metadata":{"name":"kube-root-ca.crt","namespace":"new"},"data":{"ca.crt":"newer"}}]}"#;

    #[tokio::test]
    async fn outdated_cas_are_replaced_and_rejected_writes_retried() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, count) = (seen.clone(), AtomicUsize::new(0));
        let _server = Server::start(socket, &authority, move |request| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            if request.method() == "GET" {
                assert_eq!(
                    (request.uri().path(), &*query),
                    ("/api/v1/configmaps", "&fieldSelector=metadata.name%3Dkube-root-ca.crt")
                );
                return answer(200, LIST);
            }
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                return answer(403, r#"{"kind":"Status","code":403,"message":"not yet ready to handle request"}"#);
            }
            log.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
            answer(200, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kube-root-ca.crt"}}"#)
        });
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        api.publish_authority("newer", Instant::now() + Duration::from_secs(10)).await.unwrap();
        let patched = ["old", "empty"].map(|one| format!("PATCH /api/v1/namespaces/{one}/configmaps/kube-root-ca.crt"));
        assert_eq!(*seen.lock().unwrap(), patched);
    }

    #[tokio::test]
    async fn a_timeout_reports_the_last_response() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let _server =
            Server::start(socket, &authority, |_| answer(403, r#"{"kind":"Status","code":403,"message":"no"}"#));
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        let error = api.publish_authority("newer", Instant::now()).await.unwrap_err().to_string();
        assert!(error.contains("kube-root-ca.crt") && error.contains("403: no"), "{error}");
    }
}
