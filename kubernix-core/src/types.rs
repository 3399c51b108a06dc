//! The words of the contract: phases, scopes, roles, requirements. Each is an open set, so that a
//! later minor version, or a third party, can add one without a new layout.

use abi_stable::StableAbi;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Declares a set of numbered words that stays open: values that this version doesn't know are
/// carried along.
macro_rules! open_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $value:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        /// As text it is the word; a value without one is its number.
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

/// How a value of an open set is written.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    Number(u32),
    Text(String),
}

open_set! {
    /// A step of the boot order. Components that name no requirement wait for all that earlier
    /// phases hold.
    Phase {
        /// What the control plane stands on: the datastore.
        INFRASTRUCTURE = 100, "Infrastructure";
        /// The API server.
        CONTROL_PLANE = 200, "ControlPlane";
        /// What acts on the API or serves nodes: controller-manager, scheduler, the CRI runtime.
        CONTROLLER = 300, "Controller";
        /// What makes a machine a node: kubelet, proxy.
        NODE_AGENT = 400, "NodeAgent";
        /// What runs in the cluster: DNS, metrics, storage.
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
    /// How much of a requirement has to be there before a component's processes start.
    Wait {
        /// The role's probe has passed.
        READY = 1, "ready";
        /// The role's endpoint is known; the component is patient and waits for the rest itself.
        KNOWN = 2, "known";
    }
}

/// Names of the roles that KuberNix itself uses. A role is a slot: any component that provides it
/// may fill it.
pub mod roles {
    /// The cluster's namespaces, network and cgroups. Provided by the host; to require it is to
    /// start at once.
    pub const SANDBOX: &str = "sandbox";
    /// An etcd v3 API. Endpoint: `https://IP:PORT`, or `unix://PATH` of a socket that no other user
    /// may open.
    pub const DATASTORE: &str = "datastore";
    /// The Kubernetes API listens: TLS is answered, `/readyz` may still say no. A component that
    /// waits until it is ready is started once RBAC's bootstrap roles exist as well. Endpoint:
    /// `https://IP:PORT`.
    pub const APISERVER_PORT: &str = "apiserver-port";
    /// The Kubernetes API is ready: `/readyz` says ok, RBAC's bootstrap roles exist. Endpoint:
    /// `https://IP:PORT`.
    pub const APISERVER: &str = "apiserver";
    /// Controllers run: service accounts, endpoints, workloads.
    pub const CONTROLLER_MANAGER: &str = "controller-manager";
    /// Pods are scheduled.
    pub const SCHEDULER: &str = "scheduler";
    /// A CRI v1 runtime and image service. Endpoint: `unix://PATH`, the path at most 107 bytes.
    pub const CRI: &str = "cri";
    /// The node agent answers. Endpoint: its health address.
    pub const KUBELET: &str = "kubelet";
    /// The node object says Ready.
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

/// Names of what a host knows of itself, for [`Context::fact`](crate::Context::fact). Absent facts
/// are unknown.
pub mod facts {
    /// `v1`, `hybrid` or `v2`.
    pub const CGROUP_VERSION: &str = "cgroup.version";
    /// `cgroupfs` or `systemd`: the driver that the sandbox allows.
    pub const CGROUP_DRIVER: &str = "cgroup.driver";
    /// What tells the cluster from all others, whatever it is called: 16 hexadecimal digits. Stays
    /// the same for as long as the cluster is there.
    pub const CLUSTER_ID: &str = "cluster.id";
    /// The cluster's cgroup below each hierarchy's root: `/kubernix/ID`.
    pub const CGROUP_ROOT: &str = "cgroup.root";
    /// `true` where an overlay can be mounted on the root directory's file system, else `false`.
    pub const OVERLAY: &str = "storage.overlay";
    /// `true` where a process may lower its own oom_score_adj (CAP_SYS_RESOURCE), else `false`.
    pub const LOWER_OOM_SCORE: &str = "capability.lower-oom-score";
    /// `true` where pods can ask a resolver for names outside of the cluster, else `false`.
    pub const DNS_RESOLVER: &str = "dns.resolver";
    /// `true` in a user namespace, else `false`.
    pub const ROOTLESS: &str = "rootless";
    /// Number of CPUs, decimal.
    pub const CPUS: &str = "cpus";
    /// The zone that the node is in: what `topology.kubernetes.io/zone` says. Absent where the
    /// cluster has none.
    pub const TOPOLOGY_ZONE: &str = "topology.zone";
    /// `true` where pods reach other networks, else `false`.
    pub const UPLINK: &str = "network.uplink";
    /// Registries that others are asked for, one a line with its mirrors, separated by spaces; see
    /// [`Context::registries`](crate::Context::registries).
    pub const REGISTRIES: &str = "registries";
}

/// A role by name: `datastore`, `cri`, or one that a third party made up. DNS-label characters
/// only.
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

/// A role that a component needs, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Requirement {
    /// The role that has to be filled.
    pub role: Role,
    /// What to wait for.
    pub wait: Wait,
}

impl Requirement {
    /// The component's processes start once the role's probe has passed.
    pub fn ready(role: impl Into<Role>) -> Self {
        Self { role: role.into(), wait: Wait::READY }
    }

    /// The component only needs to know the endpoint: it starts at once and is patient.
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
