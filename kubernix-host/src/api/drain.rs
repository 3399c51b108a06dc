//! Nodes that are emptied, switched off and on again, as `kubectl drain` and the documentation of Kubernetes ("Node Shutdowns":
//! non-graceful ones) have it.

use super::{Api, Error};
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use k8s_openapi::jiff::Timestamp;
use kube::api::{EvictParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks whether a node's pods are gone.
const PAUSE: Duration = Duration::from_millis(200);
/// What says that nothing runs on a node any more.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Marks a node that was cordoned by us, and may be uncordoned by us.
const DRAINED: &str = "kubernix.io/drained";
/// How often a node is read again that somebody else wrote at the same moment.
const TRIES: usize = 5;

impl Api {
    /// Lets a node take no new pods, or take them again.
    ///
    /// # Errors
    /// The API server refuses. A node that isn't there needs nothing.
    pub async fn cordon(&self, node: &str, cordoned: bool) -> Result<(), Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        let mark = if cordoned { json!("true") } else { json!(null) };
        let patch = Patch::Merge(json!({
            "metadata": { "annotations": { DRAINED: mark } },
            "spec": { "unschedulable": cordoned },
        }));
        let parameters = PatchParams::default();
        let patched = async { absent_is_fine(nodes.patch(node, &parameters, &patch).await) };
        self.request(&format!("cordon node `{node}`"), patched).await
    }

    /// Cordons a node and evicts its pods, which respects disruption budgets, until they are gone. Pods of DaemonSets and static
    /// pods stay.
    ///
    /// # Errors
    /// A pod isn't gone in time: the last is named, with why.
    pub async fn drain(&self, node: &str, deadline: Instant) -> Result<(), Error> {
        self.cordon(node, true).await?;
        let pods = kube::Api::<Pod>::all(self.client.clone());
        let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
        loop {
            let found = self.request(&format!("list the pods of node `{node}`"), pods.list(&on_node)).await?;
            let moving: Vec<Pod> = found.items.into_iter().filter(moves).collect();
            let Some(first) = moving.first() else { return Ok(()) };
            let mut last = format!("pod `{}` is still there", name(first));
            for pod in moving.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
                if let Err(error) = self.evict(pod).await {
                    last = error.to_string();
                }
            }
            if Instant::now() + PAUSE > deadline {
                return Err(Error::TimedOut { what: "a node without pods".into(), last });
            }
            sleep(PAUSE).await;
        }
    }

    async fn evict(&self, pod: &Pod) -> Result<(), Error> {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let pods = kube::Api::<Pod>::namespaced(self.client.clone(), &of(&pod.metadata.namespace));
        let (own, parameters) = (of(&pod.metadata.name), EvictParams::default());
        let evicted = async { absent_is_fine(pods.evict(&own, &parameters).await) };
        self.request(&format!("evict pod `{}`", name(pod)), evicted).await
    }

    /// Says that nothing runs on a node any more: it is NotReady, and its pods are deleted and made elsewhere at once, where a
    /// cluster that has to guess waits for minutes. Or takes that back.
    ///
    /// # Errors
    /// The API server refuses. A node that isn't there needs nothing.
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
            let patched = async { absent_is_fine(nodes.patch_status(node, &parameters, &patch).await) };
            self.request(&format!("say that node `{node}` is stopped"), patched).await?;
        }
        self.edit(node, |found| taint(found, out)).await.map(drop)
    }

    /// Lets a node that runs take pods if it was us that kept it from that, in an earlier life of the cluster. Whether it had to
    /// be done.
    ///
    /// # Errors
    /// The API server refuses. A node that isn't there needs nothing.
    pub async fn settle(&self, node: &str) -> Result<bool, Error> {
        self.edit(node, |found| taint(found, false) | uncordon(found)).await
    }

    /// Changes a node as it is now. `change` says whether it changed anything, and so does the answer.
    async fn edit(&self, node: &str, change: impl Fn(&mut Node) -> bool) -> Result<bool, Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        let doing = format!("change node `{node}`");
        for _ in 0..TRIES {
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
        Err(Error::TimedOut { what: doing, last: "somebody else writes the node each time".into() })
    }
}

fn absent_is_fine<T>(result: kube::Result<T>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

/// Adds the taint, or takes it away. Whether that changes anything.
fn taint(node: &mut Node, out: bool) -> bool {
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

/// Lets a node take pods that was marked as cordoned by us. Whether that changes anything.
fn uncordon(node: &mut Node) -> bool {
    let mark = node.metadata.annotations.as_mut().and_then(|annotations| annotations.remove(DRAINED));
    if mark.is_some() {
        node.spec.get_or_insert_default().unschedulable = None;
    }
    mark.is_some()
}

/// Whether a pod can be somewhere else.
fn moves(pod: &Pod) -> bool {
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
    fn a_taint_comes_once_and_goes() {
        let mut node = Node::default();
        assert!(taint(&mut node, true) && !taint(&mut node, true));
        assert_eq!(node.spec.as_ref().unwrap().taints.as_ref().unwrap()[0].effect, "NoExecute");
        assert!(taint(&mut node, false) && !taint(&mut node, false));
    }

    #[test]
    fn only_what_we_cordoned_is_uncordoned() {
        let mut node: Node =
            serde_json::from_value(json!({ "metadata": {}, "spec": { "unschedulable": true } })).unwrap();
        assert!(!uncordon(&mut node));
        node.metadata.annotations.get_or_insert_default().insert(DRAINED.into(), "true".into());
        assert!(uncordon(&mut node) && !uncordon(&mut node));
        assert_eq!(node.spec.unwrap().unschedulable, None);
    }

    #[test]
    fn what_belongs_to_a_node_stays_there() {
        let pod = |metadata| serde_json::from_value::<Pod>(json!({ "metadata": metadata })).unwrap();
        assert!(moves(&pod(json!({}))));
        assert!(!moves(&pod(json!({ "annotations": { "kubernetes.io/config.mirror": "x" } }))));
        let owner = |kind| json!({ "apiVersion": "apps/v1", "kind": kind, "name": "a", "uid": "b" });
        assert!(!moves(&pod(json!({ "ownerReferences": [owner("DaemonSet")] }))));
        assert!(moves(&pod(json!({ "ownerReferences": [owner("ReplicaSet")] }))));
    }
}
