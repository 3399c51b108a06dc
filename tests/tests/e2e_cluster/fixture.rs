//! The cluster of these checks, one at a time, and the pods in it that several of them talk to.

use kubernix_tests::{Cluster, Parts, oci_archive, pod};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};

/// What there is of the cluster of these parts.
struct Fixture {
    parts: Parts,
    /// None: it didn't come up.
    cluster: Option<Arc<Cluster>>,
    furnished: bool,
}

static FIXTURE: Mutex<Option<Fixture>> = Mutex::new(None);

/// Does something with the cluster of these parts. The first who asks for it boots it, and destroys the one before.
fn with<T>(parts: Parts, f: impl FnOnce(&Arc<Cluster>, &mut bool) -> T) -> T {
    let mut fixture = FIXTURE.lock().unwrap_or_else(PoisonError::into_inner);
    if fixture.as_ref().is_none_or(|there| there.parts != parts) {
        *fixture = Some(Fixture { parts, cluster: None, furnished: false });
        let cluster = Arc::new(Cluster::boot_of("many", parts));
        *fixture = Some(Fixture { parts, cluster: Some(cluster), furnished: false });
    }
    match fixture.as_mut() {
        Some(Fixture { cluster: Some(cluster), furnished, .. }) => f(cluster, furnished),
        _ => panic!("the cluster didn't come up"),
    }
}

/// The cluster of these parts.
///
/// # Panics
/// It doesn't come up, or didn't when somebody else asked.
pub fn cluster(parts: Parts) -> Arc<Cluster> {
    with(parts, |cluster, _| cluster.clone())
}

/// Ends the cluster, if there is one.
pub fn destroy() {
    *FIXTURE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The cluster, with the image in it and the pods `server`, which says hello at port 8080 and is the Service `hello` at port
/// 80, and `client`.
pub fn with_pods(parts: Parts) -> Arc<Cluster> {
    with(parts, |cluster, furnished| {
        if !std::mem::replace(furnished, true) {
            furnish(cluster);
        }
        cluster.clone()
    })
}

fn furnish(cluster: &Cluster) {
    cluster.run(&["image", "load", &oci_archive(cluster.base()).to_string_lossy()]).ok();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "hello" },
        "spec": { "selector": { "app": "server" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
        pod("server", "echo I serve; while true; do echo hello | nc -l -p 8080; done", &json!({})),
        pod("client", "sleep 3600", &json!({})),
        service,
    ]}));
    cluster.ready_pod("server");
    cluster.ready_pod("client");
}
