//! The API's part of `status`: a cluster's nodes, and its pods by phase.

use super::{Api, Error};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Resource;
use kube::api::ListParams;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The number of objects in one response. Limits the memory for large clusters.
const PAGE: u32 = 250;

/// A summary of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Summary {
    /// All nodes, by name.
    pub nodes: Vec<NodeSummary>,
    /// Number of pods by phase: `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`, and
    /// `Terminating` for those that are being deleted.
    pub pods: BTreeMap<String, usize>,
}

/// A summary of a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct NodeSummary {
    /// The node's name.
    pub name: String,
    /// Its Ready condition is true.
    pub ready: bool,
    /// The message of the Ready condition if it isn't true; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The kubelet's version: `v1.36.3`.
    pub version: String,
    /// The container runtime's name and version: `cri-o://1.36.3`.
    pub runtime: String,
}

impl Api {
    /// Lists all nodes and pods.
    ///
    /// # Errors
    /// A request failed.
    pub async fn summary(&self) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        self.each("list nodes", |node: &Node| summary.nodes.push(node_summary(node))).await?;
        self.each("list pods", |pod: &Pod| *summary.pods.entry(phase(pod).to_owned()).or_default() += 1).await?;
        summary.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(summary)
    }

    /// Calls `visit` with every object of a kind, page by page.
    async fn each<K>(&self, doing: &str, mut visit: impl FnMut(&K)) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects = kube::Api::<K>::all(self.client.clone());
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = self.request(doing, objects.list(&params)).await?;
            page.items.iter().for_each(&mut visit);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }
}

fn node_summary(node: &Node) -> NodeSummary {
    let status = node.status.as_ref();
    let ready =
        status.and_then(|status| status.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready"));
    let info = status.and_then(|status| status.node_info.as_ref());
    let reason = match ready {
        Some(condition) if condition.status == "True" => String::new(),
        Some(condition) => condition.message.clone().or_else(|| condition.reason.clone()).unwrap_or_default(),
        None => "its kubelet has not reported yet".into(),
    };
    NodeSummary {
        name: node.metadata.name.clone().unwrap_or_default(),
        ready: ready.is_some_and(|condition| condition.status == "True"),
        reason,
        version: info.map(|info| info.kubelet_version.clone()).unwrap_or_default(),
        runtime: info.map(|info| info.container_runtime_version.clone()).unwrap_or_default(),
    }
}

fn phase(pod: &Pod) -> &str {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating";
    }
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Server, answer};
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn nodes_and_pods_are_counted_over_all_pages() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let pod = |phase: &str| json!({ "metadata": { "name": "p" }, "status": { "phase": phase } });
        let gone =
            json!({ "metadata": { "deletionTimestamp": "2026-08-01T10:00:05Z" }, "status": { "phase": "Running" } });
        let _server = Server::start(socket, &authority, move |request| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let page = match request.uri().path() {
                "/api/v1/nodes" => json!({ "metadata": {}, "items": [
                    { "metadata": { "name": "node-1" } },
                    { "metadata": { "name": "node-0" }, "status": {
                        "conditions": [{ "type": "Ready", "status": "True", "message": "kubelet is posting ready status" }],
                        "nodeInfo": {
                            "kubeletVersion": "v1.36.3", "containerRuntimeVersion": "cri-o://1.36.3", "architecture": "",
                            "bootID": "", "kernelVersion": "", "kubeProxyVersion": "", "machineID": "",
                            "operatingSystem": "", "osImage": "", "systemUUID": "",
                        },
                    } },
                ] }),
                "/api/v1/pods" if query.contains("continue=more") => {
                    json!({ "metadata": {}, "items": [pod("Running"), pod("Pending")] })
                }
                "/api/v1/pods" => json!({ "metadata": { "continue": "more" }, "items": [pod("Running"), gone] }),
                other => panic!("unexpected request {other}"),
            };
            answer(200, &page.to_string())
        });
        let summary = Api::connect(&url, &authority.client("admin")).unwrap().summary().await.unwrap();
        assert_eq!(
            summary.pods.iter().map(|(phase, count)| format!("{phase} {count}")).collect::<Vec<_>>(),
            ["Pending 1", "Running 2", "Terminating 1"]
        );
        assert_eq!(
            serde_json::to_value(&summary.nodes).unwrap(),
            json!([
                { "name": "node-0", "ready": true, "version": "v1.36.3", "runtime": "cri-o://1.36.3" },
                { "name": "node-1", "ready": false, "reason": "its kubelet has not reported yet", "version": "", "runtime": "" },
            ])
        );
    }
}
