//! RBAC's bootstrap policy: the roles that the API server gives to the cluster's own components, and who has them.
//!
//! A kube-apiserver begins with them a second after it serves, makes them one after the other, and is ready only then. Their text
//! is known for the version that we pin (`toolchain/kubernetes/bootstrap-policy.jsonl`), so whoever boots makes them while the
//! API server waits. It then finds them, and completes what may be missing, as at each of its starts; what both make at the
//! same moment it looks at anew.
//!
//! Source: `pkg/registry/rbac/rest/storage_rbac.go` of Kubernetes, its post-start hook `rbac/bootstrap-roles`.

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

/// What the API server says of its own making of the policy. Source: 'Individual health checks' of Kubernetes' documentation.
const CHECK: &str = "/readyz/poststarthook/rbac/bootstrap-roles";

/// Who may do what, once the policy is in effect: user, verb, group, resource, subresource.
const RIGHTS: [(&str, &str, &str, &str, &str); 2] = [
    ("system:kube-scheduler", "create", "", "pods", "binding"),
    ("system:kube-proxy", "watch", "discovery.k8s.io", "endpointslices", ""),
];

/// How many objects are made at a time.
const AT_ONCE: usize = 8;

/// For how long we go ahead: then the API server begins, and on a slow machine two would only be in each other's way.
const AHEAD: Duration = Duration::from_secs(1);

/// The least pause before the API server is asked anew.
const PAUSE: Duration = Duration::from_millis(50);

/// The pause, in times of what the last answer took: a slow machine has better things to do.
const PATIENCE: u32 = 4;

/// Who the API server itself is to its objects' fields.
const SERVER: &str = "kube-apiserver";

/// The policy of one version: roles before bindings.
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
    /// Returns once scheduler and proxies are let in, or the API server says that it has made all roles. Where it has none yet, is
    /// of the version that we know, and `may_make`, we make them. Asks until then, so give it an end.
    pub async fn hasten_bootstrap_policy(&self, mut may_make: bool) {
        loop {
            let asked = Instant::now();
            let making = self.making().await;
            if making == Making::Over || self.is_policy_in_effect().await {
                return;
            }
            if making == Making::Pending && std::mem::take(&mut may_make) && self.has_no_bindings().await {
                // What isn't made in time is left to the server.
                let _ = timeout(AHEAD, self.make_known()).await;
                continue;
            }
            sleep(PAUSE.max(asked.elapsed() * PATIENCE)).await;
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

    /// By the server's word: it looks at what its caches hold by now.
    async fn is_policy_in_effect(&self) -> bool {
        let reviews = kube::Api::<SubjectAccessReview>::all(self.client.clone());
        for (user, verb, group, resource, subresource) in RIGHTS {
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

    /// Whether nobody has begun: bindings are made after roles.
    async fn has_no_bindings(&self) -> bool {
        let bindings = kube::Api::<ClusterRoleBinding>::all(self.client.clone());
        let some = bindings.list_metadata(&ListParams::default().limit(1)).await;
        some.is_ok_and(|some| some.items.is_empty())
    }

    /// Makes the policy, if this is the version that we know. What can't be made is left to the server.
    async fn make_known(&self) {
        let policy = embedded();
        if self.client.apiserver_version().await.is_ok_and(|version| version.git_version == policy.version) {
            let making = policy.objects.map(|object| self.make_object(object));
            stream::iter(making).buffer_unordered(AT_ONCE).collect::<()>().await;
        }
    }

    async fn make_object(&self, object: &str) {
        let Ok(object) = serde_json::from_str::<DynamicObject>(object) else { return };
        let Some(Ok(kind)) = object.types.as_ref().map(GroupVersionKind::try_from) else { return };
        let resource = ApiResource::from_gvk(&kind);
        let api = match &object.metadata.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => kube::Api::<DynamicObject>::all_with(self.client.clone(), &resource),
        };
        let params = PostParams { field_manager: Some(SERVER.into()), ..PostParams::default() };
        // Its namespace may be one that the server makes just now.
        while let Err(kube::Error::Api(status)) = api.create(&params, &object).await
            && status.is_not_found()
        {
            sleep(PAUSE).await;
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
    const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const NONE: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{},"items":[]}"#;
    const SOME: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadataList","metadata":{},
        "items":[{"metadata":{"name":"a"}}]}"#;

    /// What a server of this version with these bindings is asked. `says` what it answers to a check (200) or a review
    /// (allowed), from what it was asked until then.
    async fn hastened(
        version: &str,
        bindings: &'static str,
        may_make: bool,
        says: fn(&str, &[String]) -> bool,
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
                ("GET", CHECK) => answer(if says(CHECK, &seen) { 200 } else { 500 }, "reason withheld"),
                ("GET", "/version") => answer(200, &version),
                ("GET", BINDINGS) => answer(200, bindings),
                ("POST", REVIEWS) => {
                    let allowed = says(REVIEWS, &seen);
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
        timeout(Duration::from_secs(20), api.hasten_bootstrap_policy(may_make)).await.unwrap();
        seen.lock().unwrap().clone()
    }

    fn asked(seen: &[String], line: &str) -> usize {
        seen.iter().filter(|asked| *asked == line).count()
    }

    fn made(seen: &[String]) -> bool {
        seen.iter().any(|line| line.starts_with("POST") && !line.ends_with(REVIEWS))
    }

    #[tokio::test]
    async fn a_fresh_server_of_the_version_that_we_know_is_gone_ahead_of() {
        let policy = embedded();
        let count = |start: &str| policy.objects.clone().filter(|object| object.contains(start)).count();
        let roles = count(r#""kind":"ClusterRole","metadata""#);
        let of_system = count(r#""kind":"Role","metadata""#) - count(r#""namespace":"kube-public"},"rules""#);
        assert!(roles > 60 && of_system > 5, "the policy is not whole");
        let is_made = |path: &str, seen: &[String]| path == REVIEWS && made(seen);
        let seen = hastened(&policy.version, NONE, true, is_made).await;
        assert_eq!(asked(&seen, &format!("POST {ROLES}")), roles);
        assert_eq!(asked(&seen, &format!("POST {BINDINGS}")), count(r#""kind":"ClusterRoleBinding","metadata""#));
        let system = "POST /apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles";
        // Each that was tried before the namespace was there, once more.
        assert_eq!(asked(&seen, system), of_system + 1);
        let review = format!("POST {REVIEWS}");
        assert_eq!(seen.last_chunk(), Some(&[format!("GET {CHECK}"), review.clone(), review]));
    }

    #[tokio::test]
    async fn a_server_that_is_not_the_one_we_know_is_waited_for() {
        let is_over = |path: &str, seen: &[String]| path == CHECK && asked(seen, &format!("GET {CHECK}")) > 3;
        for (version, may_make) in [("v1.35.9", true), (&*embedded().version, false)] {
            let seen = hastened(version, NONE, may_make, is_over).await;
            assert_eq!(seen.last(), Some(&format!("GET {CHECK}")));
            assert!(!made(&seen), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn what_was_begun_is_left_to_the_server_until_it_lets_them_in() {
        let lets_in = |path: &str, seen: &[String]| path == REVIEWS && asked(seen, &format!("POST {REVIEWS}")) > 3;
        let seen = hastened(&embedded().version, SOME, true, lets_in).await;
        assert!(!made(&seen), "{seen:?}");
        assert_eq!(asked(&seen, &format!("GET {BINDINGS}")), 1);
        assert_eq!(hastened("", NONE, true, |_, _| true).await, [format!("GET {CHECK}")]);
    }
}
