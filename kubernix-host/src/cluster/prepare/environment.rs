//! Computes an environment from settings, for a boot or for a dry run.

use super::OWN;
use super::binaries::binaries;
use super::kubeconfigs::{ADMIN, INSIDE};
use super::nodes::nodes;
use super::pki::{add_pki, past, request};
use crate::boot::BootFile;
use crate::cluster::{Host, HostError, facts, port};
use crate::graph::Environment;
use crate::network::{AddressPlan, Egress};
use crate::pki::{self, Renewal};
use crate::root_dir::{self, Allotment, ClusterId, Root};
use crate::sandbox::PROGRAM;
use crate::settings::{self, NONE, Settings};
use crate::toolchain::{self, Resolution};
use kubernix_core::roles;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The local registry's port in a dry run of a new cluster.
const REGISTRY_PORT: u16 = *port::REGISTRY.range.start();

/// Whether a cluster with these settings has a local registry.
pub(in crate::cluster) fn has_registry(host: &Host, settings: &Settings) -> Result<bool, HostError> {
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
    let (nodes, members) = (nodes(settings, allotment), allotment.members());
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
pub(in crate::cluster) fn for_dry_run(
    host: &Host,
    settings: &Settings,
    allotment: &Allotment,
) -> Result<Arc<Environment>, HostError> {
    let root = Root::new(&settings.root, &settings.name);
    let id = root.open_existing().ok().and_then(|state| state.id).unwrap_or_default();
    let mut environment = environment(settings, id.clone(), AddressPlan::new(settings.cidr)?, allotment);
    let overrides = settings::binary_overrides(settings, &host.catalogue())?;
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
pub(in crate::cluster) struct HostResources<'a> {
    /// The binaries.
    pub tools: &'a Resolution,
    /// Default routes and DNS of the host.
    pub outside: &'a Egress,
    /// The local registry's port.
    pub registry_port: u16,
}

/// An environment for a boot: creates certificates, keys and `resolv.conf`. Creates keys of the
/// kinds in `renew` again. Also returns the certificates and keys that were created again, each
/// with the reason.
pub(in crate::cluster) fn for_boot(
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
    root_dir::write_atomic(&root.resolv_conf(), resolv_conf.as_bytes(), 0o644)?;
    Ok((environment, pki.reissued))
}
