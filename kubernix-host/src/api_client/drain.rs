//! Cordons and drains nodes, and marks stopped ones as out of service.
//!
//! Sources: `kubectl drain`; 'Non-graceful node shutdown handling' in Kubernetes' documentation.

use super::{Api, Error};
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use k8s_openapi::jiff::Timestamp;
use kube::api::{EvictParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time between two checks whether a node has no more pods.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The taint of a node on which nothing runs any more.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// The annotation of a node that KuberNix cordoned, and may uncordon.
const DRAINED: &str = "kubernix.io/drained";
/// How often a change of a node is attempted while other clients change it as well.
const MAX_ATTEMPTS: usize = 5;

impl Api {
    /// Cordons or uncordons a node. A missing node is no error.
    ///
    /// # Errors
    /// The request failed.
    pub async fn cordon(&self, node: &str, cordoned: bool) -> Result<(), Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        let mark = if cordoned { json!("true") } else { json!(null) };
        let patch = Patch::Merge(json!({
            "metadata": { "annotations": { DRAINED: mark } },
            "spec": { "unschedulable": cordoned },
        }));
        let parameters = PatchParams::default();
        let patched = async { ignore_not_found(nodes.patch(node, &parameters, &patch).await) };
        self.request(&format!("cordon node `{node}`"), patched).await
    }

    /// Cordons a node, evicts its pods with respect to disruption budgets, and waits until they are
    /// deleted. Pods of DaemonSets and static pods stay.
    ///
    /// # Errors
    /// A request failed, or a pod still exists at the deadline. The error names a pod and the
    /// reason.
    pub async fn drain(&self, node: &str, deadline: Instant) -> Result<(), Error> {
        self.cordon(node, true).await?;
        let pods = kube::Api::<Pod>::all(self.client.clone());
        let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
        loop {
            let found = self.request(&format!("list the pods of node `{node}`"), pods.list(&on_node)).await?;
            let remaining: Vec<Pod> = found.items.into_iter().filter(is_evictable).collect();
            let Some(first) = remaining.first() else { return Ok(()) };
            let mut last = format!("pod `{}` still exists", name(first));
            for pod in remaining.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
                if let Err(error) = self.evict(pod).await {
                    last = error.to_string();
                }
            }
            if Instant::now() + POLL_INTERVAL > deadline {
                return Err(Error::TimedOut { what: "a node without pods".into(), last });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn evict(&self, pod: &Pod) -> Result<(), Error> {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let pods = kube::Api::<Pod>::namespaced(self.client.clone(), &of(&pod.metadata.namespace));
        let (own, parameters) = (of(&pod.metadata.name), EvictParams::default());
        let evicted = async { ignore_not_found(pods.evict(&own, &parameters).await) };
        self.request(&format!("evict pod `{}`", name(pod)), evicted).await
    }

    /// Marks a stopped node as out of service: it becomes NotReady, and its pods are deleted and
    /// recreated on other nodes at once instead of after minutes. `out: false` removes the mark. A
    /// missing node is no error.
    ///
    /// # Errors
    /// A request failed.
    pub async fn set_out_of_service(&self, node: &str, out: bool) -> Result<(), Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        if out {
            let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let ready = json!({
                "type": "Ready", "status": "Unknown", "reason": "NodeStopped", "message": "the node was stopped",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            });
            let patch = Patch::Strategic(json!({ "status": { "conditions": [ready] } }));
            let parameters = PatchParams::default();
            let patched = async { ignore_not_found(nodes.patch_status(node, &parameters, &patch).await) };
            self.request(&format!("set node `{node}` to NotReady"), patched).await?;
        }
        self.edit(node, |found| set_taint(found, out)).await.map(drop)
    }

    /// Makes a running node schedulable again, if KuberNix cordoned it or marked it as out of
    /// service before the cluster was restarted. Returns whether the node was changed. A missing
    /// node is no error.
    ///
    /// # Errors
    /// A request failed.
    pub async fn restore_scheduling(&self, node: &str) -> Result<bool, Error> {
        self.edit(node, |found| set_taint(found, false) | uncordon(found)).await
    }

    /// Reads, changes and replaces a node; retries after conflicts. `change` returns whether it
    /// changed anything, and so does this function.
    async fn edit(&self, node: &str, change: impl Fn(&mut Node) -> bool) -> Result<bool, Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        let doing = format!("change node `{node}`");
        for _ in 0..MAX_ATTEMPTS {
            let Some(mut found) = self.request(&doing, nodes.get_opt(node)).await? else { return Ok(false) };
            if !change(&mut found) {
                return Ok(false);
            }
            let parameters = PostParams::default();
            let replaced = async {
                match nodes.replace(node, &parameters, &found).await {
                    Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
                    replaced => replaced.map(|_| true),
                }
            };
            if self.request(&doing, replaced).await? {
                return Ok(true);
            }
        }
        let cause = format!("another client changed it during each of {MAX_ATTEMPTS} attempts");
        Err(Error::Request { doing, cause, permanent: false })
    }
}

fn ignore_not_found<T>(result: kube::Result<T>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

/// Adds or removes the taint; whether that changed the node.
fn set_taint(node: &mut Node, out: bool) -> bool {
    let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
    let before = taints.len();
    let has = taints.iter().any(|taint| taint.key == OUT_OF_SERVICE);
    match (has, out) {
        (false, true) => taints.push(Taint {
            key: OUT_OF_SERVICE.into(),
            value: Some("nodeshutdown".into()),
            effect: "NoExecute".into(),
            time_added: None,
        }),
        (true, false) => taints.retain(|taint| taint.key != OUT_OF_SERVICE),
        _ => {}
    }
    before != taints.len()
}

/// Uncordons a node that KuberNix cordoned; whether that changed the node.
fn uncordon(node: &mut Node) -> bool {
    let mark = node.metadata.annotations.as_mut().and_then(|annotations| annotations.remove(DRAINED));
    if mark.is_some() {
        node.spec.get_or_insert_default().unschedulable = None;
    }
    mark.is_some()
}

/// Whether a pod is evicted by a drain: it isn't bound to its node.
fn is_evictable(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let is_static = annotations.is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    !is_static && !owners.iter().any(|owner| owner.kind == "DaemonSet")
}

fn name(pod: &Pod) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", of(&pod.metadata.namespace), of(&pod.metadata.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taint_is_added_once_and_removed() {
        let mut node = Node::default();
        assert!(set_taint(&mut node, true) && !set_taint(&mut node, true));
        assert_eq!(node.spec.as_ref().unwrap().taints.as_ref().unwrap()[0].effect, "NoExecute");
        assert!(set_taint(&mut node, false) && !set_taint(&mut node, false));
    }

    #[test]
    fn nodes_that_the_user_cordoned_stay_cordoned() {
        let mut node: Node =
            serde_json::from_value(json!({ "metadata": {}, "spec": { "unschedulable": true } })).unwrap();
        assert!(!uncordon(&mut node));
        node.metadata.annotations.get_or_insert_default().insert(DRAINED.into(), "true".into());
        assert!(uncordon(&mut node) && !uncordon(&mut node));
        assert_eq!(node.spec.unwrap().unschedulable, None);
    }

    #[test]
    fn static_pods_and_pods_of_daemon_sets_are_not_evicted() {
        let pod = |metadata| serde_json::from_value::<Pod>(json!({ "metadata": metadata })).unwrap();
        assert!(is_evictable(&pod(json!({}))));
        assert!(!is_evictable(&pod(json!({ "annotations": { "kubernetes.io/config.mirror": "x" } }))));
        let owner = |kind| json!({ "apiVersion": "apps/v1", "kind": kind, "name": "a", "uid": "b" });
        assert!(!is_evictable(&pod(json!({ "ownerReferences": [owner("DaemonSet")] }))));
        assert!(is_evictable(&pod(json!({ "ownerReferences": [owner("ReplicaSet")] }))));
    }
}
