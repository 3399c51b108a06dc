//! The fixtures: a running cluster for each choice of parts, and the pods in it that several tests
//! talk to.

use kubernix_tests::{Cluster, Parts, oci_archive, pod};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fixture, from the first test that asks for it to the last one.
#[derive(Default)]
struct Fixture {
    boot: Boot,
    has_pods: bool,
}

#[derive(Default)]
enum Boot {
    #[default]
    Not,
    /// The test that booted it says why.
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
    /// The cluster, booted by the first test that asks for it.
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
/// It doesn't come up, or didn't when another test asked.
pub fn cluster(parts: Parts) -> Arc<Cluster> {
    lock(&fixture(parts)).cluster(parts)
}

/// The cluster of these parts, with the image in it and the pods `server`, which says hello at port
/// 8080 and is the Service `hello` at port 80, and `client`.
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
