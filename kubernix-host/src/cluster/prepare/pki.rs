//! Adds a cluster's certificates and keys to its environment.

use crate::cluster::{Host, HostError};
use crate::graph::{Environment, NodeSpec};
use crate::pki::{self, History, Pki};
use crate::root_dir::Root;
use kubernix_core::roles;
use std::net::IpAddr;

/// Identities of the control plane.
const USERS: &[&str] = &[
    "admin",
    "apiserver",
    "apiserver-etcd-client",
    "apiserver-kubelet-client",
    "controller-manager",
    "etcd",
    "front-proxy-client",
    "proxy",
    "scheduler",
];
/// Identities of each node.
const NODE_USERS: &[&str] = &["kubelet", "kubelet-serving"];
/// Files of the PKI that components may request.
const FILES: &[&str] = &[
    "ca.crt",
    "ca.key",
    "encryption.yaml",
    "etcd-ca.crt",
    "front-proxy-ca.crt",
    "service-account.key",
    "service-account.pub",
];

/// The cluster's history before this boot.
pub(super) fn past(host: &Host, root: &Root) -> Result<History, HostError> {
    // Data of any datastore counts: the settings may select another one than before.
    let mut has_data = false;
    for datastore in host.registry.components.iter().filter(|component| component.provides(roles::DATASTORE)) {
        has_data = has_data || root.has_component_data(datastore.name())?;
    }
    Ok(History { booted: root.was_booted(), has_data, nodes: root.node_names()? })
}

/// The request for the PKI of an environment.
pub(super) fn request(environment: &Environment) -> pki::Request {
    let addresses = &environment.addresses;
    let node = |node: &NodeSpec| (node.name.clone(), IpAddr::V4(addresses.node_ip(node.index)));
    pki::Request {
        cluster: environment.cluster.clone(),
        control_plane_ips: std::iter::once(addresses.control_plane_ip())
            .chain(environment.members.iter().map(|member| environment.control_plane_ip(Some(member))))
            .map(IpAddr::V4)
            .collect(),
        api_service_ip: IpAddr::V4(addresses.api_service_ip()),
        control_plane_name: environment.nodes.first().map(|node| node.name.clone()).unwrap_or_default(),
        nodes: environment.nodes.iter().map(node).collect(),
    }
}

/// Adds certificates and keys, by their paths in the sandbox.
pub(super) fn add_pki(environment: &mut Environment) {
    let pki = Pki::planned(&Root::inside().pki(), &request(environment));
    let find = |user: &str, node: Option<&str>| pki.identity(user, node);
    let shared = USERS.iter().filter_map(|user| Some(((*user).to_owned(), find(user, None)?)));
    environment.identities.extend(shared);
    for node in &environment.nodes {
        let own =
            NODE_USERS.iter().filter_map(|user| Some((format!("{user}@{}", node.name), find(user, Some(&node.name))?)));
        environment.identities.extend(own);
    }
    let found = FILES.iter().filter_map(|name| Some(((*name).to_owned(), pki.file(name)?)));
    environment.files.extend(found);
}
