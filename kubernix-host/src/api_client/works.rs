//! Checks whether applied objects work: workloads have their replicas, custom resources and
//! aggregated APIs are served.
//!
//! After a restart the API still has the state of the previous boot. So only pods whose containers
//! were started since this boot began count, and a request is sent to each aggregated API.

use super::objects::{ObjectRef, objects_of};
use super::{Api, Error, NotReady};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams};
use kubernix_core::Manifest;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// The time between two checks of an object.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Api {
    /// Waits until all objects of these manifests work, as far as their kinds have a state.
    ///
    /// # Errors
    /// The deadline passed (the error has the last observation), or an object failed permanently,
    /// such as a failed job.
    pub async fn wait_works(&self, manifests: &[Manifest], since: SystemTime, deadline: Instant) -> Result<(), Error> {
        for object in all_objects(manifests)? {
            loop {
                let last = match self.works(&object, since).await {
                    Ok(Ok(())) => break,
                    Ok(Err(missing)) => missing.to_string(),
                    Err(error @ Error::Request { permanent: true, .. }) => return Err(error),
                    Err(error) => error.to_string(),
                };
                if Instant::now() + POLL_INTERVAL > deadline {
                    return Err(Error::TimedOut { what: object.to_string(), last });
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Checks all objects of these manifests once.
    ///
    /// # Errors
    /// A request failed, or an object failed permanently.
    pub async fn check_works(&self, manifests: &[Manifest], since: SystemTime) -> Result<Result<(), NotReady>, Error> {
        for object in all_objects(manifests)? {
            if let Err(missing) = self.works(&object, since).await? {
                return Ok(Err(missing));
            }
        }
        Ok(Ok(()))
    }

    async fn works(&self, object: &ObjectRef, since: SystemTime) -> Result<Result<(), NotReady>, Error> {
        let doing = format!("get {object}");
        let Some(objects) = self.api_for(object, &doing).await? else {
            return Ok(Err(NotReady::KindNotServed(object.clone())));
        };
        let Some(found) = self.request(&doing, objects.get_opt(&object.name)).await? else {
            return Ok(Err(NotReady::Absent(object.to_string())));
        };
        let replicas = match object.kind.as_str() {
            "Deployment" => replicas(&found, "availableReplicas", "updatedReplicas"),
            "StatefulSet" => replicas(&found, "readyReplicas", "updatedReplicas"),
            "DaemonSet" => daemons(&found),
            "Pod" => return Ok(pod(&found)),
            "Job" => return job(object, &found),
            "CustomResourceDefinition" => return Ok(condition(&found, "Established")),
            "APIService" => return self.is_served(object, &found).await,
            _ => return Ok(Ok(())),
        };
        let pods = self.pods(&found).await?;
        let started = pods.iter().filter(|pod| is_ready_since(pod, since)).count() as u64;
        let reason = match replicas {
            Ok(wanted) if started >= wanted => return Ok(Ok(())),
            Ok(wanted) => NotReady::Pods { started, wanted },
            Err(reason) => reason,
        };
        let (object, pod) = (Box::new(object.clone()), pods.iter().find_map(trouble));
        Ok(Err(NotReady::Workload { object, reason: Box::new(reason), pod }))
    }

    /// The pods of a workload.
    async fn pods(&self, workload: &DynamicObject) -> Result<Vec<Pod>, Error> {
        let labels = workload.data["spec"]["selector"]["matchLabels"].as_object().cloned().unwrap_or_default();
        let labels = labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        let labels = labels.collect::<Vec<_>>().join(",");
        let namespace = workload.metadata.namespace.as_deref().unwrap_or("default");
        let pods = kube::Api::<Pod>::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels(&labels);
        Ok(self.request(&format!("list pods `{labels}`"), pods.list(&params)).await?.items)
    }

    /// Checks whether an aggregated API responds.
    async fn is_served(&self, object: &ObjectRef, found: &DynamicObject) -> Result<Result<(), NotReady>, Error> {
        if let Err(missing) = condition(found, "Available") {
            return Ok(Err(missing));
        }
        let spec = &found.data["spec"];
        let [group, version] = ["group", "version"].map(|key| spec[key].as_str().unwrap_or_default());
        let doing = format!("list the resources of {object}");
        let served = format!("{group}/{version}");
        match self.request(&doing, self.client.list_api_group_resources(&served)).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => Ok(Err(NotReady::Request(error.to_string()))),
        }
    }
}

fn all_objects(manifests: &[Manifest]) -> Result<Vec<ObjectRef>, Error> {
    let objects: Result<Vec<_>, _> = manifests.iter().map(objects_of).collect();
    Ok(objects?.concat())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Checks that the controller has observed the present generation.
fn observed(object: &DynamicObject) -> Result<(), NotReady> {
    let generation = object.metadata.generation.unwrap_or_default();
    let seen = object.data["status"]["observedGeneration"].as_i64().unwrap_or_default();
    if seen < generation { Err(NotReady::NotObserved) } else { Ok(()) }
}

/// Checks that a workload has all its replicas; returns their number. `available`, `updated`:
/// fields of the status.
fn replicas(object: &DynamicObject, available: &str, updated: &str) -> Result<u64, NotReady> {
    observed(object)?;
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let (available, updated) = (number(&status[available]), number(&status[updated]));
    if available.min(updated) < wanted {
        return Err(NotReady::Replicas { available, wanted, updated });
    }
    Ok(wanted)
}

/// Checks that a DaemonSet is ready on all its nodes; returns their number.
fn daemons(object: &DynamicObject) -> Result<u64, NotReady> {
    observed(object)?;
    let status = &object.data["status"];
    let [wanted, ready, updated] =
        ["desiredNumberScheduled", "numberReady", "updatedNumberScheduled"].map(|key| number(&status[key]));
    if ready.min(updated) < wanted {
        return Err(NotReady::Daemons { ready, wanted, updated });
    }
    Ok(wanted)
}

fn condition(object: &DynamicObject, kind: &'static str) -> Result<(), NotReady> {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    match found {
        Some(condition) if condition["status"] == "True" => Ok(()),
        Some(condition) => {
            let why = condition["message"].as_str().or(condition["reason"].as_str()).unwrap_or("no reason given");
            Err(NotReady::Condition { kind, why: why.to_owned() })
        }
        None => Err(NotReady::NoCondition(kind)),
    }
}

fn pod(object: &DynamicObject) -> Result<(), NotReady> {
    if object.data["status"]["phase"] == "Succeeded" { Ok(()) } else { condition(object, "Ready") }
}

/// Checks that a job is complete. A failed job is an error.
fn job(object: &ObjectRef, found: &DynamicObject) -> Result<Result<(), NotReady>, Error> {
    if condition(found, "Failed").is_ok() {
        let cause = "it has failed, see its pods' logs".to_owned();
        return Err(Error::Request { doing: format!("wait for {object}"), cause, permanent: true });
    }
    Ok(condition(found, "Complete"))
}

/// Why a container of a pod doesn't run, as reported by the kubelet.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let states = status.container_statuses.iter().flatten().filter_map(|container| container.state.as_ref());
    let why = states.filter_map(|state| {
        let waiting = state.waiting.as_ref().map(|waiting| (waiting.reason.as_deref(), waiting.message.as_deref()));
        let ended = state.terminated.as_ref().map(|ended| (ended.reason.as_deref(), ended.message.as_deref()));
        let (reason, message) = waiting.or(ended)?;
        Some([reason, message].into_iter().flatten().collect::<Vec<_>>().join(": "))
    });
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    why.into_iter().find(|why| why != "ContainerCreating").map(|why| format!("pod {name}: {why}"))
}

/// Whether a pod is Ready and all its containers were started since then. Start times have whole
/// seconds.
fn is_ready_since(pod: &Pod, since: SystemTime) -> bool {
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(status) = pod.status.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none()) else { return false };
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let started = containers.iter().map(|container| {
        let running = container.state.as_ref().and_then(|state| state.running.as_ref());
        running.and_then(|running| running.started_at.as_ref()).map(|time| time.0.as_second())
    });
    let first = started.collect::<Option<Vec<_>>>().unwrap_or_default().into_iter().min();
    ready && first.and_then(|first| u64::try_from(first).ok()).is_some_and(|first| first >= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn replicas_count_once_the_controller_has_observed_the_last_change() {
        let deployment = |generation: i64, status: Value| {
            object(
                json!({ "metadata": { "name": "a", "generation": generation }, "spec": { "replicas": 2 }, "status": status }),
            )
        };
        let status = json!({ "observedGeneration": 3, "availableReplicas": 2, "updatedReplicas": 2 });
        let checked = |it: &DynamicObject| replicas(it, "availableReplicas", "updatedReplicas");
        assert_eq!(checked(&deployment(3, status.clone())), Ok(2));
        assert_eq!(checked(&deployment(4, status)), Err(NotReady::NotObserved));
        let half = json!({ "observedGeneration": 3, "availableReplicas": 2, "updatedReplicas": 1 });
        let error = checked(&deployment(3, half)).unwrap_err();
        assert_eq!(error, NotReady::Replicas { available: 2, wanted: 2, updated: 1 });
        let object = Box::new(ObjectRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("web".into()),
            name: "a".into(),
        });
        let error = NotReady::Workload { object, reason: Box::new(error), pod: Some("pod a-1: ErrImagePull".into()) };
        assert_eq!(
            error.to_string(),
            "Deployment web/a: 2 of 2 replicas are available, 1 of them of the latest version; pod a-1: ErrImagePull"
        );
    }

    #[test]
    fn only_pods_of_this_boot_count() {
        let pod = |ready: &str, started: &str| -> Pod {
            let running = json!({ "running": { "startedAt": started } });
            let status = json!({
                "conditions": [{ "type": "Ready", "status": ready }],
                "containerStatuses": [{ "name": "a", "image": "a", "imageID": "", "ready": true, "restartCount": 0, "state": running }],
            });
            serde_json::from_value(json!({ "metadata": { "name": "a" }, "status": status })).unwrap()
        };
        // 2026-08-01T10:00:05.250Z
        let boot = UNIX_EPOCH + Duration::from_millis(1_785_578_405_250);
        assert!(is_ready_since(&pod("True", "2026-08-01T10:00:05Z"), boot));
        assert!(!is_ready_since(&pod("True", "2026-08-01T10:00:04Z"), boot));
        assert!(!is_ready_since(&pod("False", "2026-08-01T10:00:05Z"), boot));
    }

    #[test]
    fn an_unmet_condition_is_reported_with_its_message() {
        let served = |status: &str| {
            object(json!({ "metadata": { "name": "a" }, "status": { "conditions": [
                { "type": "Available", "status": status, "message": "no endpoints" } ] } }))
        };
        assert_eq!(condition(&served("True"), "Available"), Ok(()));
        let unavailable = condition(&served("False"), "Available").unwrap_err();
        assert_eq!(unavailable.to_string(), "not Available: no endpoints");
        assert_eq!(condition(&served("True"), "Established"), Err(NotReady::NoCondition("Established")));
    }
}
