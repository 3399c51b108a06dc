//! Who gets a certificate: names, rights and signer of each identity. Data alone; it must not touch files.

use super::Request;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::store::PairPaths;

/// A certificate authority of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    /// Of the API server and its clients, kubelets included.
    Cluster,
    /// Of the datastore and its clients: no client certificate of the cluster opens etcd.
    Etcd,
    /// Of the API server as a proxy for aggregated APIs: who shows a certificate of it may claim to be any user.
    FrontProxy,
}

impl Authority {
    /// The name of its files without ending.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Cluster => "ca",
            Self::Etcd => "etcd-ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }

    /// Its common name. With the cluster's name in it, so that two clusters' certificates can be told apart by eye.
    pub fn common_name(self, cluster: &str) -> String {
        format!("kubernix-{cluster}-{}", self.stem())
    }
}

/// What a certificate has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    /// The identity's user.
    pub user: &'static str,
    /// The node that it belongs to, where there is one of each user for every node.
    pub node: Option<String>,
    pub authority: Authority,
    pub common_name: String,
    /// The group of the user that it makes its owner, for clients of the API server.
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

    /// What people read: `kubelet (node node-0)`.
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

/// Where a node's certificates are.
pub(super) fn node_directory(dir: &Path, node: &str) -> std::path::PathBuf {
    dir.join("nodes").join(node)
}

/// All identities of a cluster.
pub(super) fn all(request: &Request) -> Vec<Profile> {
    use Authority::{Cluster, Etcd, FrontProxy};
    const MASTERS: Option<&str> = Some("system:masters");
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    // They serve their health to this machine, with the certificate that they show to the API server.
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
            // It is its own client too: its gateway connects to itself.
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
