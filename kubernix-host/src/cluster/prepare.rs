//! Computes an environment from settings: nodes, addresses, directories, certificates, kubeconfigs.

use super::{Host, HostError, NodeError, facts, port};
use crate::boot::BootFile;
use crate::graph::{self, Environment, Instance, NodeSpec};
use crate::network::{AddressPlan, Outside};
use crate::pki::{self, History, Identity, Pki, Renewal};
use crate::root::{self, Allotment, AllottedNode, Batch, ClusterId, Root};
use crate::sandbox::PROGRAM;
use crate::settings::{self, NONE, Settings};
use crate::toolchain::{self, Resolution};
use kubernix_core::roles;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Binaries for users of the cluster, beside those that components run.
const FOR_USERS: &[&str] = &["kubectl"];
/// Further binaries for users, which no boot waits for: `kubernix toolchain ensure` builds them.
pub(super) const FOR_USERS_IF_THERE: [&str; 1] = ["crictl"];
/// The environment variables in which clients of a CRI runtime, such as crictl, expect its socket.
const CRI_CLIENTS: [&str; 2] = ["CONTAINER_RUNTIME_ENDPOINT", "IMAGE_SERVICE_ENDPOINT"];
/// The toolchain's name of the `kubernix` binary, which contains the OCI runtime shim.
const OWN: &str = "kubernix";
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
/// The user whose kubeconfig is for use on the host.
const ADMIN: &str = "admin";
/// Users with a kubeconfig for use inside the sandbox.
const INSIDE: &[&str] = &["controller-manager", "proxy", "scheduler"];
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
/// The local registry's port in a dry run of a new cluster.
const REGISTRY_PORT: u16 = *port::REGISTRY.range.start();

/// The nodes of a cluster with these settings: those in `allotment`, then new ones.
///
/// # Errors
/// The settings have fewer nodes than the cluster, more than its CIDR has room for, or other
/// control planes or another placement than the cluster.
pub(super) fn allot(host: &Host, settings: &Settings, mut allotment: Allotment) -> Result<Allotment, HostError> {
    let addresses = AddressPlan::new(settings.cidr)?;
    let has = allotment.count();
    match settings.control_planes {
        Some(wanted) if has > 0 && wanted != allotment.control_planes => {
            let has = allotment.control_planes;
            return Err(NodeError::ControlPlanesFixed { call: host.call(settings), has, wanted }.into());
        }
        Some(wanted) => allotment.control_planes = wanted,
        None => {}
    }
    match settings.placement {
        Some(wanted) if has > 0 && wanted != allotment.placement => {
            let (call, has) = (host.call(settings), allotment.placement);
            return Err(NodeError::PlacementFixed { call, has, wanted }.into());
        }
        Some(wanted) => allotment.placement = wanted,
        None => {}
    }
    let members = allotment.control_planes;
    let wanted = settings.nodes.unwrap_or(has.max(members));
    if wanted < members {
        return Err(NodeError::TooFew { members, nodes: wanted }.into());
    }
    if wanted < has {
        return Err(NodeError::Fewer { call: host.call(settings), has, wanted }.into());
    }
    let most = addresses.max_nodes();
    if wanted > most {
        return Err(NodeError::TooMany { cidr: settings.cidr, most, wanted }.into());
    }
    allotment.add_nodes(wanted - has);
    Ok(allotment)
}

/// The nodes in the form that contexts use.
pub(super) fn nodes(settings: &Settings, allotment: &Allotment) -> Vec<NodeSpec> {
    let node = |node: &AllottedNode| NodeSpec {
        name: node.name.clone(),
        index: node.index,
        placement: allotment.placement_of(node),
        stopped: node.stopped,
        zone: settings.zones.map(|zones| format!("zone-{}", node.index % zones)),
    };
    allotment.nodes.iter().map(node).collect()
}

/// Warnings about settings of nodes that don't exist, or that can't exist. Settings of nodes in
/// `removed` are kept for later nodes of the same names, and give no warning.
pub(super) fn ineffective_node_settings(settings: &Settings, allotment: &Allotment, removed: &[String]) -> Vec<String> {
    let keys = settings.slots.keys().chain(settings.components.keys());
    let named: BTreeSet<&str> = keys.filter_map(|key| settings::split_node_key(key)).map(|(node, _)| node).collect();
    let known = |name: &&str| allotment.nodes.iter().map(|node| &node.name).chain(removed).any(|node| node == name);
    let most = AddressPlan::new(settings.cidr).map_or(u32::MAX, |addresses| addresses.max_nodes());
    let can_exist = |name: &str| root::index_of(name).is_some_and(|index| index < most);
    let warning = |name: &str| {
        let reason = if can_exist(name) {
            "there is no such node yet".to_owned()
        } else {
            format!("nodes of this cluster are called node-0 to node-{}", most.saturating_sub(1))
        };
        format!("settings of node `{name}` have no effect: {reason}")
    };
    named.into_iter().filter(|name| !known(name)).map(warning).collect()
}

fn names(nodes: &[NodeSpec]) -> impl Iterator<Item = &str> + Clone {
    nodes.iter().map(|node| &*node.name)
}

/// The toolchain's names of all binaries that this cluster runs, and the paths of binaries that
/// parameters select.
pub(super) fn binaries(host: &Host, settings: &Settings, allotment: &Allotment) -> Result<Vec<String>, HostError> {
    let nodes = &nodes(settings, allotment);
    let used = graph::used(&host.registry.components, &host.slots(settings)?, names(nodes))?;
    let always = FOR_USERS.iter().chain(allotment.placement.tools());
    let mut all: BTreeSet<String> = always.map(|name| (*name).to_owned()).collect();
    for component in used {
        for node in std::iter::once(None).chain(names(nodes).map(Some)) {
            all.extend(graph::binaries(component, node, &settings.components)?.into_values());
        }
    }
    Ok(all.into_iter().filter(|name| name != OWN).collect())
}

/// Whether a cluster with these settings has a local registry.
pub(super) fn has_registry(host: &Host, settings: &Settings) -> Result<bool, HostError> {
    Ok(host.filled(settings)?.get(roles::REGISTRY).is_some_and(|name| name != NONE))
}

/// The mirrors of registries, one a line: the prefix of image names, then the URLs.
fn registries(settings: &Settings, environment: &Environment, has_own: bool) -> String {
    let mirrors = settings.mirrors.iter().map(|(prefix, urls)| format!("{prefix} {}", urls.join(" ")));
    let own =
        has_own.then(|| format!("127.0.0.1:{} http://{}", environment.registry_port, environment.addresses.registry()));
    mirrors.chain(own).collect::<Vec<_>>().join("\n")
}

/// An environment with the paths of the sandbox, which depend neither on the cluster's name nor on
/// its base directory.
fn environment(settings: &Settings, id: ClusterId, addresses: AddressPlan, allotment: &Allotment) -> Environment {
    let root = Root::inside();
    let (nodes, members) = (self::nodes(settings, allotment), allotment.members());
    let mut kubeconfigs: BTreeMap<String, PathBuf> =
        INSIDE.iter().chain(&[ADMIN]).map(|user| ((*user).to_owned(), root.kubeconfig(user))).collect();
    for node in &nodes {
        let name = format!("kubelet@{}", node.name);
        kubeconfigs.insert(name.clone(), root.kubeconfig(&name));
    }
    Environment {
        cluster: settings.name.clone(),
        id,
        root: root.path().to_owned(),
        addresses,
        nodes,
        members,
        binaries: BTreeMap::new(),
        versions: BTreeMap::new(),
        identities: BTreeMap::new(),
        kubeconfigs,
        image_cache: settings.cache_dir.join("images"),
        files: BTreeMap::from([("resolv.conf".to_owned(), root.resolv_conf())]),
        facts: BTreeMap::new(),
        parameters: settings.components.clone(),
        variables: BTreeMap::new(),
        registry_port: REGISTRY_PORT,
    }
}

/// An environment for a dry run, without creating anything. Binaries and facts of the host are
/// those of the cluster's last boot. For a new cluster, binaries are in `/usr/bin`, and the facts
/// are those of a typical host.
pub(super) fn for_dry_run(
    host: &Host,
    settings: &Settings,
    allotment: &Allotment,
) -> Result<Arc<Environment>, HostError> {
    let root = Root::new(&settings.root, &settings.name);
    let id = root.open_existing().ok().and_then(|state| state.id).unwrap_or_default();
    let mut environment = environment(settings, id.clone(), AddressPlan::new(settings.cidr)?, allotment);
    let overrides = crate::settings::binary_overrides(settings, &host.catalogue())?;
    let last = BootFile::read(&root).ok().map(|boot| boot.environment);
    environment.registry_port = settings.registry_port.or(allotment.registry_port).unwrap_or(REGISTRY_PORT);
    let (last, versions, facts) = match last {
        // Facts that depend on the ID are computed again: the last boot may have had another ID, or
        // none.
        Some(last) => (last.binaries, last.versions, [last.facts, facts::for_id(&id)].into_iter().flatten().collect()),
        None => (BTreeMap::new(), BTreeMap::new(), facts::assumed(&id)),
    };
    let path = |name: &String| {
        let known = overrides.get(name).or_else(|| last.get(name)).cloned();
        known.map_or_else(|| Path::new("/usr/bin").join(name), |path| root.to_inside(&path))
    };
    environment.binaries =
        binaries(host, settings, allotment)?.into_iter().map(|name| (name.clone(), path(&name))).collect();
    let assumed = toolchain::known(&host.registry.table);
    let assumed =
        |name: &String| assumed.iter().find(|tool| tool.has(name)).and_then(toolchain::Known::assumed_version);
    environment.versions = (environment.binaries.keys())
        .filter_map(|name| Some((name.clone(), versions.get(name).cloned().or_else(|| assumed(name))?)))
        .collect();
    add_own(&mut environment);
    environment.facts = facts;
    add_registries(&mut environment, host, settings)?;
    add_pki(&mut environment);
    Ok(Arc::new(environment))
}

/// Our own program, which every host has.
fn add_own(environment: &mut Environment) {
    environment.binaries.insert(OWN.to_owned(), PROGRAM.into());
    environment.versions.insert(OWN.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
}

fn add_registries(environment: &mut Environment, host: &Host, settings: &Settings) -> Result<(), HostError> {
    let text = registries(settings, environment, has_registry(host, settings)?);
    environment.facts.insert(kubernix_core::facts::REGISTRIES.to_owned(), text);
    Ok(())
}

/// What the host provides for a boot.
pub(super) struct HostResources<'a> {
    /// The binaries.
    pub tools: &'a Resolution,
    /// Default routes and DNS of the host.
    pub outside: &'a Outside,
    /// The local registry's port.
    pub registry_port: u16,
}

/// An environment for a boot: creates certificates, keys and `resolv.conf`. Creates keys of the
/// kinds in `renew` again. Also returns the certificates and keys that were created again, each
/// with the reason.
pub(super) fn for_boot(
    host: &Host,
    settings: &Settings,
    root: &Root,
    allotment: &Allotment,
    found: HostResources,
    renew: &BTreeSet<Renewal>,
) -> Result<(Environment, Vec<String>), HostError> {
    let HostResources { tools, outside, registry_port } = found;
    let state = root.ensure_id()?;
    let (id, authority) = (state.id.clone().unwrap_or_default(), state.authority().to_owned());
    let mut environment = environment(settings, id.clone(), AddressPlan::new(settings.cidr)?, allotment);
    let binaries = tools.tools.iter().map(|(name, tool)| (name.clone(), root.to_inside(&tool.path)));
    environment.binaries = binaries.collect();
    let known = tools.tools.iter().filter(|(_, tool)| tool.version != toolchain::UNKNOWN_VERSION);
    environment.versions = known.map(|(name, tool)| (name.clone(), tool.version.clone())).collect();
    add_own(&mut environment);
    environment.facts = facts::detect(&id, &root.run(), outside);
    environment.registry_port = registry_port;
    add_registries(&mut environment, host, settings)?;
    let request = pki::Request { cluster: authority, ..request(&environment) };
    let pki = pki::ensure(&root.pki(), &request, &past(host, root)?, renew)?;
    add_pki(&mut environment);
    let resolv_conf = outside.resolver.resolv_conf(environment.addresses.control_plane_ip());
    root::write_atomic(&root.resolv_conf(), resolv_conf.as_bytes(), 0o644)?;
    Ok((environment, pki.reissued))
}

/// The cluster's history before this boot.
fn past(host: &Host, root: &Root) -> Result<History, HostError> {
    // Data of any datastore counts: the settings may select another one than before.
    let mut has_data = false;
    for datastore in host.registry.components.iter().filter(|component| component.provides(roles::DATASTORE)) {
        has_data = has_data || root.has_component_data(datastore.name())?;
    }
    Ok(History { booted: root.was_booted(), has_data, nodes: root.node_names()? })
}

fn request(environment: &Environment) -> pki::Request {
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
fn add_pki(environment: &mut Environment) {
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

/// The sandbox's host name: the name of the node in its namespaces, or `control-plane` without one.
pub(super) fn hostname(environment: &Environment) -> String {
    let inside = environment.nodes.iter().find(|node| node.placement.is_beside());
    inside.map_or_else(|| "control-plane".to_owned(), |node| node.name.clone())
}

/// The URL of the first instance that fills a role.
pub(super) fn endpoint(instances: &[Instance], role: &str) -> Option<String> {
    let mut endpoints = instances.iter().flat_map(|instance| &instance.plan.provides);
    endpoints.find(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone())
}

/// The API server's URL inside the sandbox, outside of any control plane node.
pub(super) fn api(environment: &Environment, instances: &[Instance]) -> Option<String> {
    let fills = |one: &&Instance| one.plan.provides.iter().any(|e| e.role.as_str() == roles::APISERVER);
    let member = instances.iter().find(fills)?.node.as_deref();
    Some(environment.seen_from(None, member, &endpoint(instances, roles::APISERVER)?))
}

/// The environment variables for users' shells: the socket of the first node's container runtime,
/// and the variables of components. The first instance of several with the same variable wins.
pub(super) fn variables(instances: &[Instance]) -> BTreeMap<String, String> {
    let cri = endpoint(instances, roles::CRI);
    let own = cri.iter().flat_map(|url| CRI_CLIENTS.map(|name| (name.to_owned(), url.clone())));
    let declared = instances.iter().rev().flat_map(|instance| instance.plan.variables.clone());
    declared.chain(own).collect()
}

/// The name of cluster and context in kubeconfigs for use inside the sandbox.
const INSIDE_CONTEXT: &str = "inside";

/// An identity with paths of the host.
fn on_host(root: &Root, identity: &Identity) -> Identity {
    let outside = |path: &Path| root.to_outside(path);
    Identity { cert: outside(&identity.cert), key: outside(&identity.key), ca: outside(&identity.ca) }
}

/// Writes the admin's kubeconfig, which is for use on the host and has the cluster's name.
pub(super) fn write_admin_kubeconfig(root: &Root, environment: &Environment, api_port: u16) -> Result<(), HostError> {
    let mut batch = Batch::default();
    add_admin_kubeconfig(&mut batch, root, environment, api_port)?;
    batch.commit()?;
    Ok(())
}

fn add_admin_kubeconfig(
    batch: &mut Batch,
    root: &Root,
    environment: &Environment,
    api_port: u16,
) -> Result<(), HostError> {
    let Some(identity) = environment.identities.get(ADMIN) else { return Ok(()) };
    let (identity, url) = (on_host(root, identity), port::api_url(api_port));
    pki::kubeconfig(batch, &root.kubeconfigs(), ADMIN, &identity, &url, &environment.cluster)?;
    Ok(())
}

/// Writes all kubeconfigs: the admin's for use on the host, the others for use inside the sandbox.
pub(super) fn write_kubeconfigs(
    root: &Root,
    environment: &Environment,
    instances: &[Instance],
    api_port: u16,
) -> Result<(), HostError> {
    let Some(inside) = api(environment, instances) else { return Ok(()) };
    let mut batch = Batch::default();
    for name in environment.kubeconfigs.keys().filter(|name| *name != ADMIN) {
        let Some(identity) = environment.identities.get(name) else { continue };
        pki::kubeconfig(&mut batch, &root.kubeconfigs(), name, &on_host(root, identity), &inside, INSIDE_CONTEXT)?;
    }
    add_admin_kubeconfig(&mut batch, root, environment, api_port)?;
    batch.commit()?;
    Ok(())
}
