//! Creates RBAC's bootstrap policy: the roles and bindings of the cluster's own components.
//!
//! kube-apiserver waits a second after it serves requests, creates these objects one after the
//! other, and becomes ready only then. Their content is known for the pinned version
//! (`toolchain/kubernetes/bootstrap-policy.jsonl`), so KuberNix creates them during that second.
//! The API server then finds them, and adds missing ones, as at each of its starts. On a conflict
//! it reads the object again.
//!
//! Source: `pkg/registry/rbac/rest/storage_rbac.go` of Kubernetes, its post-start hook
//! `rbac/bootstrap-roles`.

use super::Api;
use futures_util::{StreamExt, stream};
use hyper::{Request, StatusCode};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::client::Body;
use kube::core::GroupVersionKind;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The health check of the API server's own creation of the policy. Source: 'Individual health
/// checks' in Kubernetes' documentation.
const CHECK: &str = "/readyz/poststarthook/rbac/bootstrap-roles";

/// Permissions that exist once the policy is in effect: user, verb, group, resource, subresource.
const PERMISSIONS: [(&str, &str, &str, &str, &str); 2] = [
    ("system:kube-scheduler", "create", "", "pods", "binding"),
    ("system:kube-proxy", "watch", "discovery.k8s.io", "endpointslices", ""),
];

/// How many objects are created in parallel.
const PARALLEL: usize = 8;

/// How long KuberNix creates objects. After that the API server creates them, and on a slow machine
/// both would compete for the CPU. Longer in unit tests, which must pass on a loaded machine as
/// well.
const CREATE_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 15 } else { 1 });

/// The shortest time between two checks of the API server.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The time between two checks, as a multiple of the duration of the last one. Keeps the load low
/// on a slow machine.
const POLL_FACTOR: u32 = 4;

/// The API server's own field manager.
const SERVER: &str = "kube-apiserver";

/// The policy of one version: roles before bindings.
struct Policy {
    /// The version in the form of `/version`.
    version: String,
    /// Each line is an object as JSON, parsed when it is created.
    objects: std::str::Lines<'static>,
}

/// The progress of the API server's own creation of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    /// It hasn't started or isn't complete.
    Pending,
    /// It is complete, or this server doesn't create the policy.
    Complete,
    /// The check got another response, or none.
    Unknown,
}

impl Api {
    /// Waits until the scheduler and kube-proxy are authorized, or until the API server has created
    /// the policy. With `may_create`, creates the policy itself if the server has none yet and is
    /// of the pinned version. Has no time limit: the caller sets one.
    pub async fn ensure_bootstrap_policy(&self, mut may_create: bool) {
        loop {
            let checked = Instant::now();
            let creation = self.creation().await;
            if creation == Creation::Complete || self.is_policy_in_effect().await {
                return;
            }
            if creation == Creation::Pending && std::mem::take(&mut may_create) && self.has_no_bindings().await {
                // After the timeout the API server creates the remaining objects.
                let _ = timeout(CREATE_TIMEOUT, self.create_pinned()).await;
                continue;
            }
            sleep(POLL_INTERVAL.max(checked.elapsed() * POLL_FACTOR)).await;
        }
    }

    async fn creation(&self) -> Creation {
        let Ok(request) = Request::get(CHECK).body(Body::empty()) else { return Creation::Unknown };
        match self.client.send(request).await.map(|answer| answer.status()) {
            Ok(StatusCode::OK | StatusCode::NOT_FOUND) => Creation::Complete,
            Ok(StatusCode::INTERNAL_SERVER_ERROR) => Creation::Pending,
            _ => Creation::Unknown,
        }
    }

    /// Whether the API server authorizes all of [`PERMISSIONS`], by the present content of its
    /// caches.
    async fn is_policy_in_effect(&self) -> bool {
        let reviews = kube::Api::<SubjectAccessReview>::all(self.client.clone());
        for (user, verb, group, resource, subresource) in PERMISSIONS {
            let attributes = ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                subresource: Some(subresource.into()),
                ..ResourceAttributes::default()
            };
            let spec = SubjectAccessReviewSpec {
                user: Some(user.into()),
                resource_attributes: Some(attributes),
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            let answer = reviews.create(&PostParams::default(), &review).await;
            if !answer.is_ok_and(|answer| answer.status.is_some_and(|status| status.allowed)) {
                return false;
            }
        }
        true
    }

    /// Whether there are no cluster role bindings, which the API server creates after the roles.
    async fn has_no_bindings(&self) -> bool {
        let bindings = kube::Api::<ClusterRoleBinding>::all(self.client.clone());
        let some = bindings.list_metadata(&ListParams::default().limit(1)).await;
        some.is_ok_and(|some| some.items.is_empty())
    }

    /// Creates the policy, if the server is of the pinned version. Ignores errors: the API server
    /// creates missing objects.
    async fn create_pinned(&self) {
        let policy = embedded();
        if self.client.apiserver_version().await.is_ok_and(|version| version.git_version == policy.version) {
            let created = policy.objects.map(|object| self.create_object(object));
            stream::iter(created).buffer_unordered(PARALLEL).collect::<()>().await;
        }
    }

    async fn create_object(&self, object: &str) {
        let Ok(object) = serde_json::from_str::<DynamicObject>(object) else { return };
        let Some(Ok(kind)) = object.types.as_ref().map(GroupVersionKind::try_from) else { return };
        let resource = ApiResource::from_gvk(&kind);
        let api = match &object.metadata.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => kube::Api::<DynamicObject>::all_with(self.client.clone(), &resource),
        };
        let params = PostParams { field_manager: Some(SERVER.into()), ..PostParams::default() };
        // The server may not have created the namespace yet.
        while let Err(kube::Error::Api(status)) = api.create(&params, &object).await
            && status.is_not_found()
        {
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// The policy that is compiled in: a line with its version, then a line for each object.
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
    const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const NONE: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{},"items":[]}"#;
    const SOME: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{},
        "items":[{"metadata":{"name":"a"}}]}"#;

    /// The requests that a server of this version with these bindings gets. `responds` decides from
    /// the requests so far whether a check succeeds or a review is allowed.
    async fn requests(
        version: &str,
        bindings: &'static str,
        may_create: bool,
        responds: fn(&str, &[String]) -> bool,
    ) -> Vec<String> {
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
                ("GET", CHECK) => answer(if responds(CHECK, &seen) { 200 } else { 500 }, "reason withheld"),
                ("GET", "/version") => answer(200, &version),
                ("GET", BINDINGS) => answer(200, bindings),
                ("POST", REVIEWS) => {
                    let allowed = responds(REVIEWS, &seen);
                    answer(201, &format!(r#"{{"metadata":{{}},"spec":{{}},"status":{{"allowed":{allowed}}}}}"#))
                }
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
        timeout(Duration::from_secs(20), api.ensure_bootstrap_policy(may_create)).await.unwrap();
        seen.lock().unwrap().clone()
    }

    fn count(seen: &[String], line: &str) -> usize {
        seen.iter().filter(|request| *request == line).count()
    }

    fn is_created(seen: &[String]) -> bool {
        seen.iter().any(|line| line.starts_with("POST") && !line.ends_with(REVIEWS))
    }

    #[tokio::test]
    async fn the_policy_is_created_on_a_new_server_of_the_pinned_version() {
        let policy = embedded();
        let objects = |start: &str| policy.objects.clone().filter(|object| object.contains(start)).count();
        let roles = objects(r#""kind":"ClusterRole","metadata""#);
        let of_system = objects(r#""kind":"Role","metadata""#) - objects(r#""namespace":"kube-public"},"rules""#);
        assert!(roles > 60 && of_system > 5, "the policy is incomplete");
        let allows = |path: &str, seen: &[String]| path == REVIEWS && is_created(seen);
        let seen = requests(&policy.version, NONE, true, allows).await;
        assert_eq!(count(&seen, &format!("POST {ROLES}")), roles);
        assert_eq!(count(&seen, &format!("POST {BINDINGS}")), objects(r#""kind":"ClusterRoleBinding","metadata""#));
        let system = "POST /apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles";
        // The first one is retried, because its namespace doesn't exist at first.
        assert_eq!(count(&seen, system), of_system + 1);
        let review = format!("POST {REVIEWS}");
        assert_eq!(seen.last_chunk(), Some(&[format!("GET {CHECK}"), review.clone(), review]));
    }

    #[tokio::test]
    async fn a_server_of_another_version_creates_its_own_policy() {
        let completes = |path: &str, seen: &[String]| path == CHECK && count(seen, &format!("GET {CHECK}")) > 3;
        for (version, may_create) in [("v1.35.9", true), (&*embedded().version, false)] {
            let seen = requests(version, NONE, may_create, completes).await;
            assert_eq!(seen.last(), Some(&format!("GET {CHECK}")));
            assert!(!is_created(&seen), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn an_existing_policy_is_left_to_the_server() {
        let allows = |path: &str, seen: &[String]| path == REVIEWS && count(seen, &format!("POST {REVIEWS}")) > 3;
        let seen = requests(&embedded().version, SOME, true, allows).await;
        assert!(!is_created(&seen), "{seen:?}");
        assert_eq!(count(&seen, &format!("GET {BINDINGS}")), 1);
        assert_eq!(requests("", NONE, true, |_, _| true).await, [format!("GET {CHECK}")]);
    }
}
