//! RBAC's bootstrap policy: the roles that the API server gives to the cluster's own components.
//!
//! A kube-apiserver begins with them a second after it serves, makes them one after the other, and is ready only then. Their text
//! is known for the version that we pin (`toolchain/kubernetes/bootstrap-policy.jsonl`), so whoever boots makes them while the
//! API server waits. It then finds them, and completes what may be missing, as at each of its starts. All else that could go
//! wrong costs time and nothing more: it makes them itself.
//!
//! Source: `pkg/registry/rbac/rest/storage_rbac.go` of Kubernetes, its post-start hook `rbac/bootstrap-roles`.

use super::Api;
use futures_util::{StreamExt, stream};
use hyper::{Request, StatusCode};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::client::Body;
use kube::core::GroupVersionKind;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What the API server says of its own making of the policy. Source: KEP-1623, individual health checks.
const CHECK: &str = "/readyz/poststarthook/rbac/bootstrap-roles";

/// For how long we go ahead. Who makes what the other is about to make costs the API server a second try, a second later.
const AHEAD: Duration = Duration::from_millis(850);

/// How many requests are under way at a time.
const AT_ONCE: usize = 8;

/// Pause before the API server is asked anew.
const PAUSE: Duration = Duration::from_millis(25);

/// Who the API server itself is to its objects' fields.
const SERVER: &str = "kube-apiserver";

/// The policy of one version, in the order of its making.
struct Policy {
    /// As `/version` says it.
    version: String,
    /// JSON, read one by one: nobody holds all of it.
    objects: std::str::Lines<'static>,
}

/// How far the API server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Making {
    /// It will, or does.
    Pending,
    /// All is there, or this server makes none.
    Over,
    /// It didn't say.
    Unknown,
}

impl Api {
    /// Returns once the policy is in effect, which is for the API server to say, or for us where we made all of it. Returns at
    /// once where there is none. Asks until then, so give it an end.
    pub async fn hasten_bootstrap_policy(&self) {
        loop {
            match self.making().await {
                Making::Over => return,
                Making::Pending => break,
                Making::Unknown => sleep(PAUSE).await,
            }
        }
        if self.has_bindings().await || self.make_known().await {
            return;
        }
        while self.making().await != Making::Over {
            sleep(PAUSE).await;
        }
    }

    async fn making(&self) -> Making {
        let Ok(request) = Request::get(CHECK).body(Body::empty()) else { return Making::Unknown };
        match self.client.send(request).await.map(|answer| answer.status()) {
            Ok(StatusCode::OK | StatusCode::NOT_FOUND) => Making::Over,
            Ok(StatusCode::INTERNAL_SERVER_ERROR) => Making::Pending,
            _ => Making::Unknown,
        }
    }

    /// Whether the datastore has a policy, from an earlier start. Bindings are made after roles.
    async fn has_bindings(&self) -> bool {
        let bindings = kube::Api::<ClusterRoleBinding>::all(self.client.clone());
        let some = bindings.list_metadata(&ListParams::default().limit(1)).await;
        some.is_ok_and(|some| !some.items.is_empty())
    }

    /// Makes the policy of the version that we know. `false`: it is another, or something couldn't be made in time.
    async fn make_known(&self) -> bool {
        let policy = embedded();
        let version = self.client.apiserver_version().await;
        let is_known = version.is_ok_and(|version| version.git_version == policy.version);
        is_known && timeout(AHEAD, self.make(policy)).await.unwrap_or_default()
    }

    /// `false`: something isn't there.
    async fn make(&self, policy: Policy) -> bool {
        let making = policy.objects.map(|object| self.make_object(object));
        stream::iter(making).buffer_unordered(AT_ONCE).all(|made| async move { made }).await
    }

    async fn make_object(&self, object: &str) -> bool {
        let Ok(object) = serde_json::from_str::<DynamicObject>(object) else { return false };
        let Some(Ok(kind)) = object.types.as_ref().map(GroupVersionKind::try_from) else { return false };
        let resource = ApiResource::from_gvk(&kind);
        let api = match &object.metadata.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => kube::Api::<DynamicObject>::all_with(self.client.clone(), &resource),
        };
        let params = PostParams { field_manager: Some(SERVER.into()), ..PostParams::default() };
        loop {
            match api.create(&params, &object).await {
                Ok(_) => return true,
                Err(kube::Error::Api(status)) if status.is_already_exists() => return true,
                // Its namespace, which the server makes just now.
                Err(kube::Error::Api(status)) if status.is_not_found() => sleep(PAUSE).await,
                Err(_) => return false,
            }
        }
    }
}

/// The one that this program carries: a line with its version, then a line for each object.
fn embedded() -> Policy {
    let mut lines = include_str!("../../../toolchain/kubernetes/bootstrap-policy.jsonl").lines();
    let version = lines.next().and_then(|line| serde_json::from_str::<Info>(line).ok()).unwrap_or_default();
    Policy { version: version.git_version, objects: lines }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, Authority, Server, answer};
    use super::*;
    use std::sync::{Arc, Mutex};

    const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    const NONE: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{},"items":[]}"#;
    const SOME: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{},
        "items":[{"metadata":{"name":"a"}}]}"#;

    /// A server of a version that has these bindings and is done when `is_over` says so of the requests until then; what it was
    /// asked to make.
    async fn hastened(version: &str, bindings: &'static str, is_over: fn(&[String]) -> bool) -> Vec<String> {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let version = format!(r#"{{"gitVersion":"{version}","major":"1","minor":"36"}}"#);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let _server = Server::start(socket, &authority, move |request| -> Answer {
            let mut seen = log.lock().unwrap();
            let path = request.uri().path().to_owned();
            seen.push(format!("{} {path}", request.method()));
            match (request.method().as_str(), &*path) {
                ("GET", CHECK) => answer(if is_over(&seen) { 200 } else { 500 }, "reason withheld"),
                ("GET", "/version") => answer(200, &version),
                ("GET", BINDINGS) => answer(200, bindings),
                ("POST", _) => {
                    assert_eq!(request.uri().query(), Some("&fieldManager=kube-apiserver"));
                    let first = seen.iter().filter(|line| **line == format!("POST {path}")).count() == 1;
                    let (code, reason) = match (first, path.contains("/namespaces/")) {
                        (true, true) => (404, "NotFound"),
                        (true, false) => (409, "AlreadyExists"),
                        _ => return answer(201, r#"{"apiVersion":"a/v1","kind":"K","metadata":{"name":"m"}}"#),
                    };
                    let status = format!(r#"{{"kind":"Status","status":"Failure","reason":"{reason}","code":{code}}}"#);
                    answer(code, &status)
                }
                other => panic!("{other:?} isn't expected"),
            }
        });
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        timeout(Duration::from_secs(20), api.hasten_bootstrap_policy()).await.unwrap();
        seen.lock().unwrap().clone()
    }

    fn made(seen: &[String], path: &str) -> usize {
        seen.iter().filter(|line| line.strip_prefix("POST ").is_some_and(|made| made == path)).count()
    }

    #[tokio::test]
    async fn a_fresh_server_of_the_version_that_we_know_is_gone_ahead_of() {
        let policy = embedded();
        let count = |start: &str| policy.objects.clone().filter(|object| object.contains(start)).count();
        let roles = count(r#""kind":"ClusterRole","metadata""#);
        let of_system = count(r#""kind":"Role","metadata""#) - count(r#""namespace":"kube-public"},"rules""#);
        assert!(roles > 60 && of_system > 5, "the policy is not whole");
        let seen = hastened(&policy.version, NONE, |_| false).await;
        assert_eq!(made(&seen, ROLES), roles);
        assert_eq!(made(&seen, BINDINGS), count(r#""kind":"ClusterRoleBinding","metadata""#));
        let system = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles";
        // Once more: the namespace wasn't there yet.
        assert_eq!(made(&seen, system), of_system + 1);
    }

    #[tokio::test]
    async fn a_server_of_another_version_is_waited_for() {
        let is_over = |seen: &[String]| seen.iter().filter(|line| line.ends_with(CHECK)).count() > 3;
        let seen = hastened("v1.35.9", NONE, is_over).await;
        assert_eq!(seen.last().map(String::as_str), Some(&*format!("GET {CHECK}")));
        assert!(!seen.iter().any(|line| line.starts_with("POST")), "{seen:?}");
    }

    #[tokio::test]
    async fn what_is_there_is_left_to_the_server() {
        let seen = hastened(&embedded().version, SOME, |_| false).await;
        assert_eq!(seen, [format!("GET {CHECK}"), format!("GET {BINDINGS}")]);
        assert_eq!(hastened("", NONE, |_| true).await, [format!("GET {CHECK}")]);
    }
}
