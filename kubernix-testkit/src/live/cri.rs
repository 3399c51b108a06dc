//! Runs a pod through the CRI: create, run, stop, remove.

use super::call::{connect, unary};
use super::cri_messages::*;
use super::{Result, Target, step};
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::transport::Channel;

pub(super) const IDS: [&str; 5] =
    ["cri-ready", "cri-pod-runs", "cri-container-runs", "cri-container-stops", "cri-nothing-left"];

/// States of a container.
const RUNNING: i32 = 1;
const EXITED: i32 = 2;
/// How often a state is polled, and the pause between two polls.
const MAX_POLLS: usize = 100;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Seconds that the container has to end.
const GRACE: i64 = 5;

macro_rules! runtime {
    ($method:literal) => {
        concat!("/runtime.v1.RuntimeService/", $method)
    };
}

pub(super) async fn run(target: &Target, passed: &mut Vec<&'static str>) -> Result {
    let [ready, pod_runs, container_runs, container_stops, nothing_left] = IDS;
    let channel = step(passed, ready, async {
        let channel = connect(target).await?;
        is_ready(&channel).await.map(|()| channel)
    })
    .await?;
    let before = all(&channel).await?;
    // Unique, so that leftovers of another run don't conflict.
    let uid = format!("kubernix-kit-{}", std::process::id());
    let config = pod_config(&uid);
    let request = RunPodRequest { config: Some(config.clone()) };
    let pod: PodId = step(passed, pod_runs, unary(&channel, runtime!("RunPodSandbox"), request)).await?;
    let lived = live(&channel, target, &pod, &config, passed, container_runs, container_stops).await;
    let id = || PodId { pod_sandbox_id: pod.pod_sandbox_id.clone() };
    // Removed in any case. The earlier error is reported.
    let removed = step(passed, nothing_left, async {
        let _: Empty = unary(&channel, runtime!("StopPodSandbox"), id()).await?;
        // Kubelets repeat both calls, so a second call must succeed.
        let _: Empty = unary(&channel, runtime!("StopPodSandbox"), id()).await?;
        let _: Empty = unary(&channel, runtime!("RemovePodSandbox"), id()).await?;
        let _: Empty = unary(&channel, runtime!("RemovePodSandbox"), id()).await?;
        let left: Vec<String> = all(&channel).await?.difference(&before).cloned().collect();
        if !left.is_empty() {
            return Err(format!("still there: {}", left.join(", ")));
        }
        Ok(())
    })
    .await;
    lived.and(removed)
}

async fn is_ready(channel: &Channel) -> Result {
    let answer: StatusResponse = unary(channel, runtime!("Status"), StatusRequest {}).await?;
    let conditions = answer.status.unwrap_or_default().conditions;
    match conditions.iter().find(|condition| condition.r#type == "RuntimeReady") {
        Some(ready) if ready.status => Ok(()),
        Some(ready) => Err(format!("RuntimeReady is false: {} {}", ready.reason, ready.message)),
        None => Err("it doesn't report the condition RuntimeReady".into()),
    }
}

fn pod_config(uid: &str) -> PodConfig {
    let (name, namespace) = (uid.to_owned(), "default".to_owned());
    let metadata = PodMetadata { name, uid: uid.to_owned(), namespace, attempt: 0 };
    PodConfig {
        metadata: Some(metadata),
        hostname: uid.to_owned(),
        log_directory: String::new(),
        linux: Some(PodLinux::default()),
    }
}

async fn live(
    channel: &Channel,
    target: &Target,
    pod: &PodId,
    config: &PodConfig,
    passed: &mut Vec<&'static str>,
    runs: &'static str,
    stops: &'static str,
) -> Result {
    // A runtime may need the reference that the user wrote, to verify its signature.
    let image = ImageSpec { image: target.image.clone(), user_specified_image: target.image.clone() };
    let request = CreateRequest {
        pod_sandbox_id: pod.pod_sandbox_id.clone(),
        config: Some(ContainerConfig {
            metadata: Some(ContainerMetadata { name: "kit".into(), attempt: 0 }),
            image: Some(image),
            log_path: String::new(),
        }),
        sandbox_config: Some(config.clone()),
    };
    let container = step(passed, runs, async {
        let container: ContainerId = unary(channel, runtime!("CreateContainer"), request).await?;
        let _: Empty = unary(channel, runtime!("StartContainer"), container.clone()).await?;
        reaches(channel, &container, RUNNING).await.map(|()| container)
    })
    .await?;
    step(passed, stops, async {
        let stop = StopRequest { container_id: container.container_id.clone(), timeout: GRACE };
        let _: Empty = unary(channel, runtime!("StopContainer"), stop).await?;
        reaches(channel, &container, EXITED).await?;
        let _: Empty = unary(channel, runtime!("RemoveContainer"), container.clone()).await?;
        Ok(())
    })
    .await
}

/// Waits for a container's state.
async fn reaches(channel: &Channel, container: &ContainerId, wanted: i32) -> Result {
    let mut state = None;
    for _ in 0..MAX_POLLS {
        let answer: ContainerStatusResponse = unary(channel, runtime!("ContainerStatus"), container.clone()).await?;
        state = answer.status.map(|status| status.state);
        if state == Some(wanted) {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Err(format!("the container's state is {state:?} and not {wanted}"))
}

/// All pods and containers, by id.
async fn all(channel: &Channel) -> Result<BTreeSet<String>> {
    let pods: ListPodsResponse = unary(channel, runtime!("ListPodSandbox"), ListPodsRequest {}).await?;
    let containers: ListContainersResponse =
        unary(channel, runtime!("ListContainers"), ListContainersRequest {}).await?;
    let pods = pods.items.into_iter().map(|pod| pod.id);
    Ok(pods.chain(containers.containers.into_iter().map(|container| container.id)).collect())
}
