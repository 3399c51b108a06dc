//! Checks whether a node is Ready, by a report of this boot.
//!
//! After a restart the API still has the Ready condition of the previous boot, so a condition
//! counts only if it was reported since this boot began. Reports have whole seconds: a report of
//! the second in which the boot began may be of either boot. In this case it counts if the node was
//! created since the boot began, or if the kubelet's lease, which has microseconds, was renewed
//! since. The lease isn't used otherwise: on a new datastore the kubelet may create it ten seconds
//! after the node is Ready.

use super::{Api, Error, NotReady, watch};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};

/// The namespace of the kubelets' leases. A lease has the name of its node.
const LEASES: &str = "kube-node-lease";

/// The state of a node object.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    /// Ready, reported since the boot began.
    Ready,
    /// Ready, reported in the second in which the boot began.
    PerhapsOld,
    /// Not Ready, or reported before the boot began.
    NotYet(NotReady),
}

impl Api {
    /// Checks once whether the node is Ready, by a report that isn't older than `since`.
    ///
    /// # Errors
    /// A request failed.
    pub async fn node_ready(&self, name: &str, since: SystemTime) -> Result<Result<(), NotReady>, Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        let Some(node) = self.request(&format!("get node `{name}`"), nodes.get_opt(name)).await? else {
            return Ok(Err(NotReady::absent(name)));
        };
        match report(&node, since) {
            Report::Ready => Ok(Ok(())),
            Report::NotYet(missing) => Ok(Err(missing)),
            Report::PerhapsOld => {
                let leases = kube::Api::<Lease>::namespaced(self.client.clone(), LEASES);
                let lease = self.request(&format!("get lease `{name}`"), leases.get_opt(name)).await?;
                Ok(lease.map_or_else(|| Err(stale(name)), |lease| renewed(&lease, since)))
            }
        }
    }

    /// Waits until the node is Ready, by a report that isn't older than `since`. The node needn't
    /// exist yet, and the API server needn't run yet.
    ///
    /// # Errors
    /// The deadline passed (the error has the last observation), or a request failed permanently,
    /// for instance because the API server's certificate isn't trusted.
    pub async fn wait_node_ready(&self, name: &str, since: SystemTime, deadline: Instant) -> Result<(), Error> {
        let mut last = String::from("no request was sent yet");
        match timeout_at(deadline, self.until_node_ready(name, since, &mut last)).await {
            Ok(done) => done,
            Err(_) => Err(Error::TimedOut { what: format!("a Ready node `{name}`"), last }),
        }
    }

    async fn until_node_ready(&self, name: &str, since: SystemTime, last: &mut String) -> Result<(), Error> {
        let nodes = kube::Api::<Node>::all(self.client.clone());
        let leases = kube::Api::<Lease>::namespaced(self.client.clone(), LEASES);
        let is_certain = watch::until(&nodes, name, last, |node| match report(node, since) {
            Report::NotYet(missing) => Err(missing),
            Report::Ready => Ok(true),
            Report::PerhapsOld => Ok(false),
        });
        if is_certain.await? {
            return Ok(());
        }
        let mut unused = String::new();
        *last = stale(name).to_string();
        // Wait until the kubelet renews its lease or reports Ready again.
        tokio::select! {
            done = watch::until(&leases, name, &mut unused, |lease| renewed(lease, since)) => done,
            done = watch::until(&nodes, name, last, |node| match report(node, since) {
                Report::NotYet(missing) => Err(missing),
                Report::Ready => Ok(()),
                Report::PerhapsOld => Err(stale(name)),
            }) => done,
        }
    }
}

/// The state of a node for a boot that began at `since`.
fn report(node: &Node, since: SystemTime) -> Report {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let Some(ready) = conditions.iter().find(|condition| condition.type_ == "Ready") else {
        return Report::NotYet(NotReady::NodeUnreported(name.to_owned()));
    };
    if ready.status != "True" {
        let why = ready.message.as_deref().or(ready.reason.as_deref()).unwrap_or("no reason given");
        return Report::NotYet(NotReady::Node { name: name.to_owned(), why: why.to_owned() });
    }
    let boot_second = micros(since).div_euclid(1_000_000);
    let reported = ready.last_heartbeat_time.as_ref().map_or(i64::MIN, |time| time.0.as_second());
    let created = node.metadata.creation_timestamp.as_ref().map_or(i64::MIN, |time| time.0.as_second());
    match reported.cmp(&boot_second) {
        std::cmp::Ordering::Greater => Report::Ready,
        std::cmp::Ordering::Equal if created >= boot_second => Report::Ready,
        std::cmp::Ordering::Equal => Report::PerhapsOld,
        std::cmp::Ordering::Less => Report::NotYet(stale(name)),
    }
}

/// Checks whether the kubelet renewed its lease since then.
fn renewed(lease: &Lease, since: SystemTime) -> Result<(), NotReady> {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    if renewed.is_some_and(|time| time.0.as_microsecond() >= micros(since)) {
        Ok(())
    } else {
        Err(stale(lease.metadata.name.as_deref().unwrap_or_default()))
    }
}

fn stale(name: &str) -> NotReady {
    NotReady::NodeStale(name.to_owned())
}

/// Microseconds since 1970.
fn micros(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Server, answer, events};
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    /// 2026-08-01T10:00:05.250Z
    fn boot() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_785_578_405_250)
    }

    fn node(status: &str, heartbeat: &str, created: &str) -> serde_json::Value {
        json!({
            "metadata": { "name": "node-0", "creationTimestamp": created },
            "status": { "conditions": [
                { "type": "MemoryPressure", "status": "False" },
                { "type": "Ready", "status": status, "lastHeartbeatTime": heartbeat, "message": "no CNI configuration" },
            ]},
        })
    }

    fn reported(status: &str, heartbeat: &str, created: &str) -> Report {
        report(&serde_json::from_value(node(status, heartbeat, created)).unwrap(), boot())
    }

    #[test]
    fn only_a_report_of_this_boot_counts() {
        const OLD: &str = "2026-07-30T08:00:00Z";
        assert_eq!(reported("True", "2026-08-01T10:00:06Z", OLD), Report::Ready);
        assert_eq!(reported("True", "2026-08-01T10:00:05Z", "2026-08-01T10:00:05Z"), Report::Ready);
        assert_eq!(reported("True", "2026-08-01T10:00:05Z", OLD), Report::PerhapsOld);
        assert_eq!(reported("True", "2026-08-01T10:00:04Z", OLD), Report::NotYet(stale("node-0")));
        let starting = reported("False", "2026-08-01T10:00:06Z", OLD);
        let why = "no CNI configuration".into();
        assert_eq!(starting, Report::NotYet(NotReady::Node { name: "node-0".into(), why }));
        let unreported = serde_json::from_value(json!({ "metadata": { "name": "node-0" } })).unwrap();
        assert_eq!(report(&unreported, boot()), Report::NotYet(NotReady::NodeUnreported("node-0".into())));
    }

    #[test]
    fn leases_are_compared_in_microseconds() {
        let lease = |time: &str| serde_json::from_value(json!({ "spec": { "renewTime": time } })).unwrap();
        assert_eq!(renewed(&lease("2026-08-01T10:00:05.250000Z"), boot()), Ok(()));
        assert!(renewed(&lease("2026-08-01T10:00:05.249999Z"), boot()).is_err());
        assert!(renewed(&Lease::default(), boot()).is_err());
    }

    fn event(kind: &str, object: &serde_json::Value) -> String {
        json!({ "type": kind, "object": object }).to_string()
    }

    #[tokio::test]
    async fn a_stale_node_becomes_ready_through_one_watch() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let old = event("ADDED", &node("True", "2026-08-01T09:59:59Z", "2026-07-30T08:00:00Z"));
        let starting = event("MODIFIED", &node("False", "2026-08-01T10:00:06Z", "2026-07-30T08:00:00Z"));
        let new = event("MODIFIED", &node("True", "2026-08-01T10:00:07Z", "2026-07-30T08:00:00Z"));
        let _server = Server::start(socket, &authority, move |_| {
            events(vec![(0, old.clone()), (20, starting.clone()), (20, new.clone())], true)
        });
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        let begun = Instant::now();
        api.wait_node_ready("node-0", boot(), begun + Duration::from_secs(10)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(40));
    }

    #[tokio::test]
    async fn a_report_of_the_boots_own_second_waits_for_the_lease() {
        let authority = Authority::new();
        let (socket, url) = Server::reserve();
        let unsure = node("True", "2026-08-01T10:00:05Z", "2026-07-30T08:00:00Z");
        let lease = |time: &str| json!({ "metadata": { "name": "node-0" }, "spec": { "renewTime": time } });
        let (before, after) = (lease("2026-08-01T10:00:05.1Z"), lease("2026-08-01T10:00:05.9Z"));
        let _server = Server::start(socket, &authority, move |request| {
            match (request.uri().path(), request.uri().query().is_some_and(|query| query.contains("watch=true"))) {
                ("/api/v1/nodes", true) => events(vec![(0, event("ADDED", &unsure))], true),
                ("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", true) => {
                    events(vec![(0, event("ADDED", &before)), (40, event("MODIFIED", &after))], true)
                }
                ("/api/v1/nodes/node-0", false) => answer(200, &unsure.to_string()),
                ("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-0", false) => {
                    answer(200, &before.to_string())
                }
                other => panic!("unexpected request {other:?}"),
            }
        });
        let api = Api::connect(&url, &authority.client("admin")).unwrap();
        assert_eq!(api.node_ready("node-0", boot()).await.unwrap(), Err(stale("node-0")));
        let begun = Instant::now();
        api.wait_node_ready("node-0", boot(), begun + Duration::from_secs(10)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(40));
        let later = boot() + Duration::from_secs(60);
        let error = api.wait_node_ready("node-0", later, Instant::now() + Duration::from_millis(100)).await;
        let error = error.unwrap_err().to_string();
        let expected = "timed out waiting for a Ready node `node-0`: `node-0` was Ready before";
        assert!(error.starts_with(expected), "{error}");
    }
}
