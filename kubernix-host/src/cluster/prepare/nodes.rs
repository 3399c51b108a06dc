//! Computes a cluster's nodes from its settings.

use crate::cluster::{Host, HostError, NodeError};
use crate::graph::NodeSpec;
use crate::network::AddressPlan;
use crate::root_dir::{self, Allotment, AllottedNode};
use crate::settings::{self, Settings};
use std::collections::BTreeSet;

/// The nodes of a cluster with these settings: those in `allotment`, then new ones.
///
/// # Errors
/// The settings have fewer nodes than the cluster, more than its CIDR has room for, or other
/// control planes or another placement than the cluster.
pub(in crate::cluster) fn allot(
    host: &Host,
    settings: &Settings,
    mut allotment: Allotment,
) -> Result<Allotment, HostError> {
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
pub(in crate::cluster) fn ineffective_node_settings(
    settings: &Settings,
    allotment: &Allotment,
    removed: &[String],
) -> Vec<String> {
    let keys = settings.slots.keys().chain(settings.components.keys());
    let named: BTreeSet<&str> = keys.filter_map(|key| settings::split_node_key(key)).map(|(node, _)| node).collect();
    let known = |name: &&str| allotment.nodes.iter().map(|node| &node.name).chain(removed).any(|node| node == name);
    let most = AddressPlan::new(settings.cidr).map_or(u32::MAX, |addresses| addresses.max_nodes());
    let can_exist = |name: &str| root_dir::index_of(name).is_some_and(|index| index < most);
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
