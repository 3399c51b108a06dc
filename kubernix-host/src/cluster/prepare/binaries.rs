//! Computes which binaries a cluster runs.

use super::OWN;
use super::nodes::nodes;
use crate::cluster::{Host, HostError};
use crate::graph::{self, NodeSpec};
use crate::root_dir::Allotment;
use crate::settings::Settings;
use std::collections::BTreeSet;

/// Binaries for users of the cluster, beside those that components run.
const FOR_USERS: &[&str] = &["kubectl"];
/// Further binaries for users, which no boot waits for: `kubernix toolchain ensure` builds them.
pub(in crate::cluster) const FOR_USERS_IF_THERE: [&str; 1] = ["crictl"];

fn names(nodes: &[NodeSpec]) -> impl Iterator<Item = &str> + Clone {
    nodes.iter().map(|node| &*node.name)
}

/// The toolchain's names of all binaries that this cluster runs, and the paths of binaries that
/// parameters select.
pub(in crate::cluster) fn binaries(
    host: &Host,
    settings: &Settings,
    allotment: &Allotment,
) -> Result<Vec<String>, HostError> {
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
