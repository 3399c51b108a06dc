//! Phases, scopes, roles and requirements. Each is an open set: a later minor version or a third
//! party can add a value without a new layout.

use abi_stable::StableAbi;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Declares an open set of numbered words: values that this version doesn't know are preserved.
macro_rules! open_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $value:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        /// A known value is written as its word, an unknown one as its number.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    $($number => serializer.serialize_str($text),)+
                    other => serializer.serialize_u32(other),
                }
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match <$crate::types::Word as serde::Deserialize>::deserialize(deserializer)? {
                    $crate::types::Word::Number(number) => Ok(Self(number)),
                    $crate::types::Word::Text(text) => match text.as_str() {
                        $($text => Ok(Self($number)),)+
                        other => Err(serde::de::Error::unknown_variant(other, &[$($text),+])),
                    },
                }
            }
        }
        impl $name {
            $($(#[$vdoc])* pub const $value: Self = Self($number);)+
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.0 {
                    $($number => f.pad($text),)+
                    other => write!(f, concat!(stringify!($name), "({})"), other),
                }
            }
        }
    };
}
pub(crate) use open_set;

/// Durations as whole milliseconds.
pub(crate) mod millis {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(number(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }

    pub fn number(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The serialized form of a value of an open set.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    Number(u32),
    Text(String),
}

open_set! {
    /// A step of the boot order. Components without requirements wait for all components of earlier
    /// phases.
    Phase {
        /// The datastore, on which the control plane is built.
        INFRASTRUCTURE = 100, "Infrastructure";
        /// The API server.
        CONTROL_PLANE = 200, "ControlPlane";
        /// Clients of the API and services for nodes: controller-manager, scheduler, the CRI
        /// runtime.
        CONTROLLER = 300, "Controller";
        /// Agents on each node: kubelet, proxy.
        NODE_AGENT = 400, "NodeAgent";
        /// Services in the cluster: DNS, metrics, storage.
        ADDON = 500, "Addon";
    }
}

open_set! {
    /// How many instances of a component a cluster has.
    Scope {
        /// One per cluster.
        CLUSTER = 1, "Cluster";
        /// One per member of the control plane.
        CONTROL_PLANE = 2, "ControlPlane";
        /// One per node.
        NODE = 3, "Node";
    }
}

open_set! {
    /// The condition on a requirement before a component's processes start.
    Wait {
        /// The role's probe has passed.
        READY = 1, "ready";
        /// The role's endpoint is known. The component itself waits until it responds.
        KNOWN = 2, "known";
    }
}

/// Names of the roles that KuberNix itself uses. A role is a slot: any component that provides it
/// may fill it.
pub mod roles {
    /// The cluster's namespaces, network and cgroups. The host provides it, so a component that
    /// requires only this starts at once.
    pub const SANDBOX: &str = "sandbox";
    /// An etcd v3 API. Endpoint: `https://IP:PORT`, or `unix://PATH` of a socket that only its
    /// owner may open.
    pub const DATASTORE: &str = "datastore";
    /// The Kubernetes API listens: it accepts TLS connections, but `/readyz` may still fail. A
    /// component that requires this role as ready starts once RBAC's bootstrap roles exist as well.
    /// Endpoint: `https://IP:PORT`.
    pub const APISERVER_PORT: &str = "apiserver-port";
    /// The Kubernetes API is ready: `/readyz` returns ok, and RBAC's bootstrap roles exist.
    /// Endpoint: `https://IP:PORT`.
    pub const APISERVER: &str = "apiserver";
    /// Controllers run: service accounts, endpoints, workloads.
    pub const CONTROLLER_MANAGER: &str = "controller-manager";
    /// Pods are scheduled.
    pub const SCHEDULER: &str = "scheduler";
    /// A CRI v1 runtime and image service. Endpoint: `unix://PATH`, the path at most 107 bytes.
    pub const CRI: &str = "cri";
    /// The node agent runs. Endpoint: its health address.
    pub const KUBELET: &str = "kubelet";
    /// The node object has the condition Ready.
    pub const NODE: &str = "node";
    /// Services are routed on this node.
    pub const PROXY: &str = "proxy";
    /// Cluster DNS.
    pub const DNS: &str = "dns";
    /// Resource usage of pods and nodes: the API `metrics.k8s.io`.
    pub const METRICS: &str = "metrics";
    /// Volumes for claims: a default StorageClass.
    pub const STORAGE: &str = "storage";
    /// A registry of images (OCI distribution) that host and nodes share. Endpoint:
    /// `http://IP:PORT`.
    pub const REGISTRY: &str = "registry";
}

/// Names of facts about a host, for [`Context::fact`](crate::Context::fact). An absent fact is
/// unknown.
pub mod facts {
    /// `v1`, `hybrid` or `v2`.
    pub const CGROUP_VERSION: &str = "cgroup.version";
    /// `cgroupfs` or `systemd`: the driver that the sandbox allows.
    pub const CGROUP_DRIVER: &str = "cgroup.driver";
    /// The unique ID of the cluster: 16 hexadecimal digits. It stays the same when the cluster is
    /// renamed.
    pub const CLUSTER_ID: &str = "cluster.id";
    /// The cluster's cgroup below each hierarchy's root: `/kubernix/ID`.
    pub const CGROUP_ROOT: &str = "cgroup.root";
    /// `true` if an overlay can be mounted on the root directory's file system, else `false`.
    pub const OVERLAY: &str = "storage.overlay";
    /// `true` if a process may lower its own oom_score_adj (CAP_SYS_RESOURCE), else `false`.
    pub const LOWER_OOM_SCORE: &str = "capability.lower-oom-score";
    /// `true` if pods can ask a resolver for names outside of the cluster, else `false`.
    pub const DNS_RESOLVER: &str = "dns.resolver";
    /// `true` in a user namespace, else `false`.
    pub const ROOTLESS: &str = "rootless";
    /// Number of CPUs, decimal.
    pub const CPUS: &str = "cpus";
    /// The zone of the node: the value of its label `topology.kubernetes.io/zone`. Absent if the
    /// cluster has no zones.
    pub const TOPOLOGY_ZONE: &str = "topology.zone";
    /// `true` if pods reach other networks, else `false`.
    pub const UPLINK: &str = "network.uplink";
    /// Registries that have mirrors, one per line with its mirrors, separated by spaces; see
    /// [`Context::registries`](crate::Context::registries).
    pub const REGISTRIES: &str = "registries";
}

/// A role by name: `datastore`, `cri`, or one of a third party. DNS-label characters only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(String);

impl Role {
    /// A role of this name, see [`roles`].
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The role's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Role {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// A role that a component needs, and the condition to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Requirement {
    /// The role that has to be filled.
    pub role: Role,
    /// The condition to wait for.
    pub wait: Wait,
}

impl Requirement {
    /// The component's processes start once the role's probe has passed.
    pub fn ready(role: impl Into<Role>) -> Self {
        Self { role: role.into(), wait: Wait::READY }
    }

    /// The component only needs to know the endpoint: it starts at once, and itself waits until the
    /// endpoint responds.
    pub fn known(role: impl Into<Role>) -> Self {
        Self { role: role.into(), wait: Wait::KNOWN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_ordered_and_unknown_ones_are_named_by_number() {
        assert!(Phase::INFRASTRUCTURE < Phase::CONTROL_PLANE && Phase::NODE_AGENT < Phase::ADDON);
        assert_eq!(Phase::CONTROLLER.to_string(), "Controller");
        assert_eq!(Phase(250).to_string(), "Phase(250)");
    }
}
