//! The end of all pods and containers of a runtime. Calls for several of them run side by side.

use super::messages::{Done, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest};
use super::messages::{ListPodSandboxResponse, PodSandboxRequest, RUNNING, StopContainerRequest};
use super::{Client, Error, LIST_CONTAINERS};
use futures_util::future;

pub(super) const LIST_PODS: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
pub(super) const STOP_POD: &str = "/runtime.v1.RuntimeService/StopPodSandbox";
pub(super) const REMOVE_POD: &str = "/runtime.v1.RuntimeService/RemovePodSandbox";
pub(super) const STOP_CONTAINER: &str = "/runtime.v1.RuntimeService/StopContainer";

impl Client {
    /// Stops and removes all pods, running or not.
    ///
    /// # Errors
    /// The first call that failed. The other pods are removed nevertheless.
    pub async fn remove_pods(&self) -> Result<(), Error> {
        let answer: ListPodSandboxResponse = self.call("ListPodSandbox", LIST_PODS, ListPodSandboxRequest {}).await?;
        first_error(future::join_all(answer.items.into_iter().map(|pod| self.remove_pod(pod.id))).await)
    }

    async fn remove_pod(&self, id: String) -> Result<(), Error> {
        let request = PodSandboxRequest { pod_sandbox_id: id };
        self.call::<_, Done>("StopPodSandbox", STOP_POD, request.clone()).await?;
        self.call::<_, Done>("RemovePodSandbox", REMOVE_POD, request).await.map(drop)
    }

    /// Stops all running containers: each gets its stop signal, and is killed after `grace`
    /// seconds.
    ///
    /// # Errors
    /// The first call that failed. The other containers are stopped nevertheless.
    pub async fn stop_containers(&self, grace: u32) -> Result<(), Error> {
        let answer: ListContainersResponse =
            self.call("ListContainers", LIST_CONTAINERS, ListContainersRequest {}).await?;
        let running = answer.containers.into_iter().filter(|container| container.state == RUNNING);
        let stop = running.map(|container| {
            let request = StopContainerRequest { container_id: container.id, timeout: grace.into() };
            self.call::<_, Done>("StopContainer", STOP_CONTAINER, request)
        });
        first_error(future::join_all(stop).await.into_iter().map(|stopped| stopped.map(drop)))
    }
}

fn first_error(results: impl IntoIterator<Item = Result<(), Error>>) -> Result<(), Error> {
    results.into_iter().find(Result::is_err).unwrap_or(Ok(()))
}
