//! From settings to an environment: addresses, directories, certificates, kubeconfigs.

use super::{Host, HostError, facts, port};
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

/// Binaries that a user of the cluster works with, beside those that components run.
const FOR_USERS: &[&str] = &["kubectl"];
/// Further ones that no boot waits for: a user gets them with `kubernix toolchain ensure`.
pub(super) const FOR_USERS_IF_THERE: [&str; 1] = ["crictl"];
/// Variables by which clients of a CRI runtime, such as crictl, find it.
const CRI_CLIENTS: [&str; 2] = ["CONTAINER_RUNTIME_ENDPOINT", "IMAGE_SERVICE_ENDPOINT"];
/// The toolchain's name of our own binary: it carries the OCI runtime shim.
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
/// Identities that each node has of its own.
const NODE_USERS: &[&str] = &["kubelet", "kubelet-serving"];
/// The user whose kubeconfig is for the host.
const ADMIN: &str = "admin";
/// Users with a kubeconfig for use inside of the sandbox.
const INSIDE: &[&str] = &["controller-manager", "proxy", "scheduler"];
/// Files of the PKI that components may ask for.
const FILES: &[&str] = &[
    "ca.crt",
    "ca.key",
    "encryption.yaml",
    "etcd-ca.crt",
    "front-proxy-ca.crt",
    "service-account.key",
    "service-account.pub",
];
/// The local registry's port on the host, where nobody knows better.
const REGISTRY_PORT: u16 = *port::REGISTRY.range.start();

/// The nodes that a cluster with these settings has, those that it had first.
///
/// # Errors
/// It has more than these settings say, or they say more than its range holds.
pub(super) fn allot(host: &Host, settings: &Settings, mut allotment: Allotment) -> Result<Allotment, HostError> {
    let addresses = AddressPlan::new(settings.cidr)?;
    let has = allotment.count();
    match settings.control_planes {
        Some(wanted) if has > 0 && wanted != allotment.control_planes => {
            let has = allotment.control_planes;
            return Err(HostError::ControlPlanes { call: host.call(settings), has, wanted });
        }
        Some(wanted) => allotment.control_planes = wanted,
        None => {}
    }
    match settings.placement {
        Some(wanted) if has > 0 && wanted != allotment.placement => {
            return Err(HostError::Placement { call: host.call(settings), has: allotment.placement, wanted });
        }
        Some(wanted) => allotment.placement = wanted,
        None => {}
    }
    let members = allotment.control_planes;
    let wanted = settings.nodes.unwrap_or(has.max(members));
    if wanted < members {
        return Err(HostError::TooFewNodes { members, nodes: wanted });
    }
    if wanted < has {
        return Err(HostError::FewerNodes { call: host.call(settings), has, wanted });
    }
    let most = addresses.max_nodes();
    if wanted > most {
        return Err(HostError::TooManyNodes { cidr: settings.cidr, most, wanted });
    }
    allotment.add_nodes(wanted - has);
    Ok(allotment)
}

/// The nodes as contexts know them.
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

/// What settings say of nodes that there aren't, in words: perhaps of later ones, perhaps of none ever. Those of nodes that are just
/// `removed` stay for later ones of their names.
pub(super) fn for_no_node(settings: &Settings, allotment: &Allotment, removed: &[String]) -> Vec<String> {
    let keys = settings.slots.keys().chain(settings.components.keys());
    let meant: BTreeSet<&str> = keys.filter_map(|key| settings::node_of(key)).map(|(node, _)| node).collect();
    let known = |name: &&str| allotment.nodes.iter().map(|node| &node.name).chain(removed).any(|node| node == name);
    let most = AddressPlan::new(settings.cidr).map_or(u32::MAX, |addresses| addresses.max_nodes());
    let can_be = |name: &str| root::index_of(name).is_some_and(|index| index < most);
    let told = |name: &str| match can_be(name) {
        true => format!("settings of node `{name}` have no effect: there is no such node yet"),
        false => format!(
            "settings of node `{name}` have no effect: nodes of this cluster are called node-0 to node-{}",
            most.saturating_sub(1)
        ),
    };
    meant.into_iter().filter(|name| !known(name)).map(told).collect()
}

fn names(nodes: &[NodeSpec]) -> impl Iterator<Item = &str> + Clone {
    nodes.iter().map(|node| &*node.name)
}

/// The toolchain's names of all that this cluster runs, and the paths that parameters choose.
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

/// Whether a cluster with these settings has a registry of its own.
pub(super) fn has_registry(host: &Host, settings: &Settings) -> Result<bool, HostError> {
    Ok(host.filled(settings)?.get(roles::REGISTRY).is_some_and(|name| name != NONE))
}

/// The registries that others are asked for first, one a line.
fn registries(settings: &Settings, environment: &Environment, has_own: bool) -> String {
    let mirrors = settings.mirrors.iter().map(|(prefix, urls)| format!("{prefix} {}", urls.join(" ")));
    let own =
        has_own.then(|| format!("127.0.0.1:{} http://{}", environment.registry_port, environment.addresses.registry()));
    mirrors.chain(own).collect::<Vec<_>>().join("\n")
}

/// As the sandbox sees it: no path of it depends on the cluster's name, or on where the cluster lies.
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

/// An environment for a dry run: nothing is made. A cluster that was booted before keeps its binaries and its host's facts;
/// else binaries have their bare names below `/usr/bin`, and the host is believed to be an ordinary one.
pub(super) fn dry(host: &Host, settings: &Settings, allotment: &Allotment) -> Result<Arc<Environment>, HostError> {
    let root = Root::new(&settings.root, &settings.name);
    let id = root.open_existing().ok().and_then(|state| state.id).unwrap_or_default();
    let mut environment = environment(settings, id.clone(), AddressPlan::new(settings.cidr)?, allotment);
    let overrides = crate::settings::binary_overrides(settings, &host.catalogue())?;
    let last = BootFile::read(&root).ok().map(|boot| boot.environment);
    environment.registry_port = settings.registry_port.or(allotment.registry_port).unwrap_or(REGISTRY_PORT);
    let (last, versions, facts) = match last {
        // One that another ID was last booted with, or none, has this one's.
        Some(last) => (last.binaries, last.versions, [last.facts, facts::of_id(&id)].into_iter().flatten().collect()),
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

/// What was found on the host for a cluster.
pub(super) struct Found<'a> {
    /// Its binaries.
    pub tools: &'a Resolution,
    /// The ways to the world outside.
    pub outside: &'a Outside,
    /// The local registry's port.
    pub registry_port: u16,
}

/// An environment whose files exist. Keys of the kinds in `renew` are made anew. Returns the certificates and keys that were
/// made anew, each with the reason.
pub(super) fn booted(
    host: &Host,
    settings: &Settings,
    root: &Root,
    allotment: &Allotment,
    found: Found,
    renew: &BTreeSet<Renewal>,
) -> Result<(Environment, Vec<String>), HostError> {
    let Found { tools, outside, registry_port } = found;
    let state = root.identify()?;
    let (id, authority) = (state.id.clone().unwrap_or_default(), state.authority().to_owned());
    let mut environment = environment(settings, id.clone(), AddressPlan::new(settings.cidr)?, allotment);
    let there = tools.tools.iter().map(|(name, tool)| (name.clone(), root.to_inside(&tool.path)));
    environment.binaries = there.collect();
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

/// What the cluster was before this boot.
fn past(host: &Host, root: &Root) -> Result<History, HostError> {
    // Any component that can fill the role: the settings may name another one than before.
    let mut has_data = false;
    for datastore in host.registry.components.iter().filter(|component| component.provides(roles::DATASTORE)) {
        has_data = has_data || root.has_data_of(datastore.name())?;
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

/// The certificates and keys, as the sandbox sees them.
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

/// The sandbox's host name: that of the node in it, or what the control plane alone has.
pub(super) fn hostname(environment: &Environment) -> String {
    let inside = environment.nodes.iter().find(|node| node.placement.is_beside());
    inside.map_or_else(|| "control-plane".to_owned(), |node| node.name.clone())
}

/// Where a role answers, wherever it is filled first.
pub(super) fn endpoint(instances: &[Instance], role: &str) -> Option<String> {
    let mut endpoints = instances.iter().flat_map(|instance| &instance.plan.provides);
    endpoints.find(|endpoint| endpoint.role.as_str() == role).map(|endpoint| endpoint.url.clone())
}

/// Where the API answers inside, from where no member of the control plane is.
pub(super) fn api(environment: &Environment, instances: &[Instance]) -> Option<String> {
    let fills = |one: &&Instance| one.plan.provides.iter().any(|e| e.role.as_str() == roles::APISERVER);
    let member = instances.iter().find(fills)?.node.as_deref();
    Some(environment.seen_from(None, member, &endpoint(instances, roles::APISERVER)?))
}

/// What users' shells get: where the first node's runtime answers, by the names that its clients read, and what components say.
pub(super) fn variables(instances: &[Instance]) -> BTreeMap<String, String> {
    let cri = endpoint(instances, roles::CRI);
    let own = cri.iter().flat_map(|url| CRI_CLIENTS.map(|name| (name.to_owned(), url.clone())));
    let said = instances.iter().rev().flat_map(|instance| instance.plan.variables.clone());
    said.chain(own).collect()
}

/// What contexts and clusters are called in kubeconfigs of the inside, where there is no other.
const OF_THE_INSIDE: &str = "inside";

/// An identity as the host sees it.
fn on_host(root: &Root, identity: &Identity) -> Identity {
    let outside = |path: &Path| root.to_outside(path);
    Identity { cert: outside(&identity.cert), key: outside(&identity.key), ca: outside(&identity.ca) }
}

/// Writes the admin's kubeconfig, which is for the host and has the cluster's name.
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

/// Writes kubeconfigs: the admin's for the host, the others for the inside.
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
        pki::kubeconfig(&mut batch, &root.kubeconfigs(), name, &on_host(root, identity), &inside, OF_THE_INSIDE)?;
    }
    add_admin_kubeconfig(&mut batch, root, environment, api_port)?;
    batch.commit()?;
    Ok(())
}
