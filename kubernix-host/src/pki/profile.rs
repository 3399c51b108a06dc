//! Lists the identities of a cluster: names, usages and signer of each certificate. Must not read
//! or write files.

use super::Request;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::store::PairPaths;

/// A certificate authority of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    /// Signs for the API server and its clients, including kubelets.
    Cluster,
    /// Signs for the datastore and its clients, so that etcd rejects the cluster's other
    /// certificates.
    Etcd,
    /// Signs for the API server as a proxy of aggregated APIs. A client with such a certificate can
    /// act as any user.
    FrontProxy,
}

impl Authority {
    /// The name of its files without extension.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Cluster => "ca",
            Self::Etcd => "etcd-ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }

    /// Its common name. It contains the cluster's name, so that people can tell the certificates of
    /// two clusters apart.
    pub fn common_name(self, cluster: &str) -> String {
        format!("kubernix-{cluster}-{}", self.stem())
    }
}

/// The intended content of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    /// The identity's user.
    pub user: &'static str,
    /// The node, for users that exist once per node.
    pub node: Option<String>,
    pub authority: Authority,
    pub common_name: String,
    /// The user's group, for clients of the API server.
    pub organization: Option<&'static str>,
    pub server: bool,
    pub client: bool,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

impl Profile {
    fn client(user: &'static str, authority: Authority, common_name: &str, organization: Option<&'static str>) -> Self {
        Self {
            user,
            node: None,
            authority,
            common_name: common_name.to_owned(),
            organization,
            server: false,
            client: true,
            dns_names: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn server(user: &'static str, authority: Authority, common_name: &str) -> Self {
        Self { server: true, client: false, ..Self::client(user, authority, common_name, None) }
    }

    /// The name in messages: `kubelet (node node-0)`.
    pub fn title(&self) -> String {
        match &self.node {
            Some(node) => format!("{} (node {node})", self.user),
            None => self.user.to_owned(),
        }
    }

    /// Its files below the PKI directory.
    pub fn paths(&self, dir: &Path) -> PairPaths {
        match &self.node {
            Some(node) => PairPaths::new(&node_directory(dir, node), self.user),
            None => PairPaths::new(dir, self.user),
        }
    }
}

/// The directory of a node's certificates.
pub(super) fn node_directory(dir: &Path, node: &str) -> std::path::PathBuf {
    dir.join("nodes").join(node)
}

/// All identities of a cluster.
pub(super) fn all(request: &Request) -> Vec<Profile> {
    use Authority::{Cluster, Etcd, FrontProxy};
    const MASTERS: Option<&str> = Some("system:masters");
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    // These components serve health checks on localhost with their client certificates.
    let local_server = |user, common_name| Profile {
        client: true,
        dns_names: vec!["localhost".to_owned()],
        addresses: vec![localhost],
        ..Profile::server(user, Cluster, common_name)
    };
    let mut profiles = vec![
        Profile::client("admin", Cluster, "kubernetes-admin", MASTERS),
        Profile {
            dns_names: [
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost",
                &request.control_plane_name,
            ]
            .map(str::to_owned)
            .to_vec(),
            addresses: [&[localhost, request.api_service_ip], &*request.control_plane_ips].concat(),
            ..Profile::server("apiserver", Cluster, "kube-apiserver")
        },
        Profile::client("apiserver-kubelet-client", Cluster, "kube-apiserver-kubelet-client", MASTERS),
        Profile {
            // etcd is also a client: its gateway connects to itself.
            client: true,
            dns_names: vec!["localhost".to_owned()],
            addresses: [&[localhost], &*request.control_plane_ips].concat(),
            ..Profile::server("etcd", Etcd, "etcd")
        },
        Profile::client("apiserver-etcd-client", Etcd, "kube-apiserver-etcd-client", None),
        local_server("controller-manager", "system:kube-controller-manager"),
        local_server("scheduler", "system:kube-scheduler"),
        Profile::client("proxy", Cluster, "system:kube-proxy", None),
        Profile::client("front-proxy-client", FrontProxy, "front-proxy-client", None),
    ];
    for (name, address) in &request.nodes {
        let user = format!("system:node:{name}");
        profiles.push(Profile {
            node: Some(name.clone()),
            ..Profile::client("kubelet", Cluster, &user, Some("system:nodes"))
        });
        profiles.push(Profile {
            node: Some(name.clone()),
            organization: Some("system:nodes"),
            dns_names: vec![name.clone()],
            addresses: vec![*address],
            ..Profile::server("kubelet-serving", Cluster, &user)
        });
    }
    profiles
}
