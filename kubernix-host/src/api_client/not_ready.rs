//! Why a node or an applied object isn't ready yet.

use super::ObjectRef;

/// Why a node or an applied object isn't ready yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// The API server has no such object.
    #[error("{0} does not exist yet")]
    Absent(String),
    /// The API server doesn't serve the object's kind.
    #[error("{0}: its kind is not served yet")]
    KindNotServed(ObjectRef),
    /// A workload lacks pods.
    #[error("{object}: {reason}{}", pod.as_ref().map(|pod| format!("; {pod}")).unwrap_or_default())]
    Workload {
        /// The workload.
        object: Box<ObjectRef>,
        /// What it lacks.
        reason: Box<NotReady>,
        /// A pod that doesn't run, with the reason.
        pod: Option<String>,
    },
    /// The controller hasn't observed the object's last change.
    #[error("its controller has not observed it yet")]
    NotObserved,
    /// A workload lacks replicas.
    #[error("{available} of {wanted} replicas are available, {updated} of them of the latest version")]
    Replicas {
        /// Number of available replicas.
        available: u64,
        /// Number of intended replicas.
        wanted: u64,
        /// Number of replicas of the latest version.
        updated: u64,
    },
    /// A DaemonSet lacks pods.
    #[error("it is ready on {ready} of {wanted} nodes, on {updated} in its latest version")]
    Daemons {
        /// Number of nodes with a ready pod.
        ready: u64,
        /// Number of intended nodes.
        wanted: u64,
        /// Number of nodes with a pod of the latest version.
        updated: u64,
    },
    /// Pods are of an earlier boot, or not ready.
    #[error("{started} of {wanted} pods are ready since this boot")]
    Pods {
        /// Number of pods that are ready and were started in this boot.
        started: u64,
        /// Number of intended pods.
        wanted: u64,
    },
    /// A condition isn't met.
    #[error("not {kind}: {why}")]
    Condition {
        /// The condition: `Available`.
        kind: &'static str,
        /// Its message or reason.
        why: String,
    },
    /// A condition hasn't been reported.
    #[error("not {0} yet")]
    NoCondition(&'static str),
    /// A request to an aggregated API failed.
    #[error("{0}")]
    Request(String),
    /// The kubelet hasn't reported its node's state.
    #[error("the kubelet of `{0}` has not reported yet")]
    NodeUnreported(String),
    /// A node isn't Ready.
    #[error("`{name}` is not Ready: {why}")]
    Node {
        /// The node.
        name: String,
        /// The message or reason of its Ready condition.
        why: String,
    },
    /// The last report of a node's kubelet is of an earlier boot.
    #[error("`{0}` was Ready before this boot, its kubelet has not reported since")]
    NodeStale(String),
}

impl NotReady {
    /// There is no node of this name.
    pub(super) fn absent(node: &str) -> Self {
        Self::Absent(format!("`{node}`"))
    }
}
