//! Whether what was applied works: workloads have their replicas, definitions and aggregated APIs are served.
//!
//! After a restart the API still holds what was true before. Pods count whose containers were started since this boot began,
//! and an aggregated API is asked itself.

use super::objects::{ObjectRef, objects_of};
use super::{Api, Error};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams};
use kubernix_core::Manifest;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// Between two questions about one object.
const PAUSE: Duration = Duration::from_millis(50);

impl Api {
    /// Waits until all objects of these manifests work, as far as their kinds can tell.
    ///
    /// # Errors
    /// The deadline passed (with what was seen last), or one can't work any more: a job that failed.
    pub async fn wait_works(&self, manifests: &[Manifest], since: SystemTime, deadline: Instant) -> Result<(), Error> {
        for object in of_all(manifests)? {
            loop {
                let last = match self.works(&object, since).await {
                    Ok(Ok(())) => break,
                    Ok(Err(missing)) => missing,
                    Err(error @ Error::Request { hopeless: true, .. }) => return Err(error),
                    Err(error) => error.to_string(),
                };
                if Instant::now() + PAUSE > deadline {
                    return Err(Error::TimedOut { what: format!("{object} that works"), last });
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Asks once. `Ok(Err(text))` says what is missing.
    ///
    /// # Errors
    /// The API server couldn't be asked, or one of the objects can't work any more.
    pub async fn check_works(&self, manifests: &[Manifest], since: SystemTime) -> Result<Result<(), String>, Error> {
        for object in of_all(manifests)? {
            if let Err(missing) = self.works(&object, since).await? {
                return Ok(Err(missing));
            }
        }
        Ok(Ok(()))
    }

    async fn works(&self, object: &ObjectRef, since: SystemTime) -> Result<Result<(), String>, Error> {
        let doing = format!("get {object}");
        let Some(place) = self.place_of(object, &doing).await? else {
            return Ok(Err(format!("{object}: its kind is not served yet")));
        };
        let Some(found) = self.request(&doing, place.get_opt(&object.name)).await? else {
            return Ok(Err(format!("{object} does not exist yet")));
        };
        let missing = |text: String| Ok(Err(format!("{object}: {text}")));
        let told = match object.kind.as_str() {
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
        let why = || pods.iter().find_map(trouble).map(|why| format!("; {why}")).unwrap_or_default();
        let wanted = match told {
            Ok(wanted) => wanted,
            Err(text) => return missing(text + &why()),
        };
        let started = pods.iter().filter(|pod| is_ready_since(pod, since)).count();
        if (started as u64) < wanted {
            return missing(format!("{started} of {wanted} pods are ready since this boot{}", why()));
        }
        Ok(Ok(()))
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

    /// Whether the API behind an aggregated API's object answers.
    async fn is_served(&self, object: &ObjectRef, found: &DynamicObject) -> Result<Result<(), String>, Error> {
        if let Err(missing) = condition(found, "Available") {
            return Ok(Err(missing));
        }
        let spec = &found.data["spec"];
        let [group, version] = ["group", "version"].map(|key| spec[key].as_str().unwrap_or_default());
        let doing = format!("ask {object}");
        let served = format!("{group}/{version}");
        match self.request(&doing, self.client.list_api_group_resources(&served)).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

fn of_all(manifests: &[Manifest]) -> Result<Vec<ObjectRef>, Error> {
    let objects: Result<Vec<_>, _> = manifests.iter().map(objects_of).collect();
    Ok(objects?.concat())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// The controller has seen this generation.
fn observed(object: &DynamicObject) -> Result<(), String> {
    let generation = object.metadata.generation.unwrap_or_default();
    let seen = object.data["status"]["observedGeneration"].as_i64().unwrap_or_default();
    if seen < generation { Err("its controller has not seen it yet".to_owned()) } else { Ok(()) }
}

/// How many replicas are wanted, if there are that many.
fn replicas(object: &DynamicObject, working: &str, updated: &str) -> Result<u64, String> {
    observed(object)?;
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let (working, updated) = (number(&status[working]), number(&status[updated]));
    if working.min(updated) < wanted {
        return Err(format!("{working} of {wanted} replicas are available, {updated} are of its last version"));
    }
    Ok(wanted)
}

fn daemons(object: &DynamicObject) -> Result<u64, String> {
    observed(object)?;
    let status = &object.data["status"];
    let [wanted, ready, updated] =
        ["desiredNumberScheduled", "numberReady", "updatedNumberScheduled"].map(|key| number(&status[key]));
    if ready.min(updated) < wanted {
        return Err(format!("{ready} of {wanted} nodes have it ready, {updated} of its last version"));
    }
    Ok(wanted)
}

fn condition(object: &DynamicObject, kind: &str) -> Result<(), String> {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    match found {
        Some(condition) if condition["status"] == "True" => Ok(()),
        Some(condition) => {
            let why = condition["message"].as_str().or(condition["reason"].as_str()).unwrap_or("no reason given");
            Err(format!("not {kind}: {why}"))
        }
        None => Err(format!("not {kind} yet")),
    }
}

fn pod(object: &DynamicObject) -> Result<(), String> {
    if object.data["status"]["phase"] == "Succeeded" { Ok(()) } else { condition(object, "Ready") }
}

/// A job that failed for good is an error.
fn job(object: &ObjectRef, found: &DynamicObject) -> Result<Result<(), String>, Error> {
    if condition(found, "Failed").is_ok() {
        let cause = "it has failed, see its pods' logs".to_owned();
        return Err(Error::Request { doing: format!("wait for {object}"), cause, hopeless: true });
    }
    Ok(condition(found, "Complete"))
}

/// Why a container of a pod doesn't run, as its kubelet says it.
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

/// Times of containers carry whole seconds.
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
    fn replicas_count_when_their_controller_has_seen_the_last_change() {
        let deployment = |generation: i64, status: Value| {
            object(
                json!({ "metadata": { "name": "a", "generation": generation }, "spec": { "replicas": 2 }, "status": status }),
            )
        };
        let status = json!({ "observedGeneration": 3, "availableReplicas": 2, "updatedReplicas": 2 });
        let told = |it: &DynamicObject| replicas(it, "availableReplicas", "updatedReplicas");
        assert_eq!(told(&deployment(3, status.clone())), Ok(2));
        assert_eq!(told(&deployment(4, status)), Err("its controller has not seen it yet".into()));
        let half = json!({ "observedGeneration": 3, "availableReplicas": 2, "updatedReplicas": 1 });
        assert_eq!(told(&deployment(3, half)), Err("2 of 2 replicas are available, 1 are of its last version".into()));
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
    fn what_a_condition_lacks_is_said() {
        let served = |status: &str| {
            object(json!({ "metadata": { "name": "a" }, "status": { "conditions": [
                { "type": "Available", "status": status, "message": "no endpoints" } ] } }))
        };
        assert_eq!(condition(&served("True"), "Available"), Ok(()));
        assert_eq!(condition(&served("False"), "Available"), Err("not Available: no endpoints".into()));
        assert_eq!(condition(&served("True"), "Established"), Err("not Established yet".into()));
    }
}
