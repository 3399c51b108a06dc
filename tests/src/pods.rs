//! Pods of the test image.

use crate::cluster::Cluster;
use crate::image::IMAGE;
use crate::wait::until;
use serde_json::{Value, json};
use std::time::Duration;

/// The time limit of a pod's start, or its restart under another runtime.
const LIMIT: Duration = Duration::from_secs(60);

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

/// A pod of an image that is pulled each time.
pub fn pulled_pod(name: &str, image: &str) -> Value {
    let mut pulled = pod(name, "sleep 3600", &json!({}));
    let container = &mut pulled["spec"]["containers"][0];
    container["image"] = image.into();
    container["imagePullPolicy"] = "Always".into();
    pulled
}

/// Waits until a command can be run in a pod, given as kubectl names it.
///
/// # Panics
/// It can't in time; the message has the output of `kubectl describe` for all pods.
#[track_caller]
pub fn alive(cluster: &Cluster, pod: &str) {
    until("pod that runs", LIMIT, || {
        let outcome = cluster.kubectl(&["exec", pod, "--", "sh", "-c", "echo alive"]);
        if outcome.stdout == "alive\n" {
            return Ok(());
        }
        let pods = cluster.kubectl(&["describe", "pods"]);
        Err(format!("{outcome:?}\n{}{}", pods.stdout, pods.stderr))
    });
}
