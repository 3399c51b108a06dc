//! The one cluster of these checks, and the pods in it that several of them talk to.

use kubernix_tests::{Cluster, IMAGE, oci_archive};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, Once, PoisonError};

enum State {
    New,
    Up(Arc<Cluster>),
    Failed,
}

static STATE: Mutex<State> = Mutex::new(State::New);

/// The cluster; the first who asks boots it.
///
/// # Panics
/// It doesn't come up, or didn't when somebody else asked.
pub fn cluster() -> Arc<Cluster> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if let State::New = *state {
        *state = State::Failed;
        *state = State::Up(Arc::new(Cluster::boot("many")));
    }
    match &*state {
        State::Up(cluster) => cluster.clone(),
        _ => panic!("the cluster didn't come up"),
    }
}

/// Ends the cluster, if there is one.
pub fn destroy() {
    *STATE.lock().unwrap_or_else(PoisonError::into_inner) = State::Failed;
}

/// The cluster, with the image in it and the pods `server`, which says hello at port 8080 and is the Service `hello` at port
/// 80, and `client`.
pub fn with_pods() -> Arc<Cluster> {
    static ONCE: Once = Once::new();
    let cluster = cluster();
    ONCE.call_once(|| {
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
    });
    cluster
}

/// A pod that runs a script.
pub fn pod(name: &str, script: &str, resources: &Value) -> Value {
    let container = json!({
        "name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script],
        "resources": resources,
    });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": name } },
        "spec": { "containers": [container], "terminationGracePeriodSeconds": 0 },
    })
}
