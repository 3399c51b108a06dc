//! The fixtures: a running cluster for each combination of parts, with pods that several tests use.

use kubernix_tests::{Cluster, Parts, oci_archive, pod};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fixture, from its first to its last test.
#[derive(Default)]
struct Fixture {
    boot: Boot,
    has_pods: bool,
}

#[derive(Default)]
enum Boot {
    #[default]
    Not,
    /// The boot failed: the test that booted it shows why.
    Failed,
    Done(Arc<Cluster>),
}

static FIXTURES: Mutex<Vec<(Parts, Arc<Mutex<Fixture>>)>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fixture of these parts. Fixtures of other parts boot at the same time.
fn fixture(parts: Parts) -> Arc<Mutex<Fixture>> {
    let mut fixtures = lock(&FIXTURES);
    if let Some((_, fixture)) = fixtures.iter().find(|(of, _)| *of == parts) {
        return fixture.clone();
    }
    fixtures.push((parts, Arc::default()));
    fixtures[fixtures.len() - 1].1.clone()
}

impl Fixture {
    /// The cluster, booted by the first test that needs it.
    fn cluster(&mut self, parts: Parts) -> Arc<Cluster> {
        if matches!(self.boot, Boot::Not) {
            self.boot = Boot::Failed;
            self.boot = Boot::Done(Arc::new(Cluster::boot_with_addons("many", parts)));
        }
        match &self.boot {
            Boot::Done(cluster) => cluster.clone(),
            Boot::Not | Boot::Failed => panic!("the fixture of another test didn't come up"),
        }
    }
}

/// The cluster of these parts.
///
/// # Panics
/// The boot fails, or failed in another test.
pub fn cluster(parts: Parts) -> Arc<Cluster> {
    lock(&fixture(parts)).cluster(parts)
}

/// The cluster of these parts, with the test image and two pods: `server` responds with hello at
/// port 8080 and is the Service `hello` at port 80; `client` is the other one.
///
/// # Panics
/// As [`cluster`].
pub fn with_pods(parts: Parts) -> Arc<Cluster> {
    let fixture = fixture(parts);
    let mut fixture = lock(&fixture);
    let cluster = fixture.cluster(parts);
    if !std::mem::replace(&mut fixture.has_pods, true) {
        create_pods(&cluster);
    }
    cluster
}

/// Removes the cluster of these parts, if there is one.
pub fn remove(parts: Parts) {
    lock(&FIXTURES).retain(|(of, _)| *of != parts);
}

fn create_pods(cluster: &Cluster) {
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
