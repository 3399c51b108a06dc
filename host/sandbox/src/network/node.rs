//! A node with a network namespace of its own: a pair of links to the cluster's bridge, and routes
//! to the pods of all others.

use super::host_net::HostNet;
use super::netlink::{BRIDGE, NetworkError, at, index, route_packets, with_netlink};
use super::plan::AddressPlan;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

/// A node's end of its pair.
const INSIDE: &str = "eth0";

/// The bridge's end of a node's pair, by the node's index.
fn outside(node: u32) -> String {
    format!("node{node}")
}

/// A node's address, and the range of its pods.
pub type Route = (Ipv4Addr, Ipv4Net);

/// Hangs a node's namespace on the bridge of the namespace `sandbox`, with the address that its
/// index has.
///
/// # Errors
/// The kernel refuses; what was made by then goes with the node's namespace.
pub fn attach(sandbox: &HostNet, node: &HostNet, number: u32, addresses: &AddressPlan) -> Result<(), NetworkError> {
    within(sandbox, async |handle| {
        let peer =
            LinkMessageBuilder::<LinkUnspec>::new().name(INSIDE.to_owned()).setns_by_fd(node.as_fd().as_raw_fd());
        let data = InfoData::Veth(InfoVeth::Peer(peer.build()));
        let link = LinkVeth::new(&outside(number), INSIDE).set_info_data(data).controller(index(BRIDGE)?).up().build();
        handle.link().add(link).execute().await.map_err(at("making a node's links"))
    })?;
    let (own, gateway) = (addresses.node_ip(number), addresses.control_plane_ip());
    within(node, async |handle| {
        let loopback = LinkUnspec::new_with_index(1).up().build();
        handle.link().set(loopback).execute().await.map_err(at("a node's loopback"))?;
        let link = index(INSIDE)?;
        let request = handle.address().add(link, IpAddr::V4(own), addresses.nodes.prefix_len());
        request.execute().await.map_err(at("a node's address"))?;
        handle
            .link()
            .set(LinkUnspec::new_with_index(link).up().build())
            .execute()
            .await
            .map_err(at("a node's link"))?;
        let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(link);
        handle.route().add(default.build()).execute().await.map_err(at("a node's way out"))?;
        route_packets()
    })
}

/// Sees that a namespace reaches these nodes' pods.
///
/// # Errors
/// The kernel refuses.
pub fn add_routes(from: &HostNet, routes: &[Route]) -> Result<(), NetworkError> {
    within(from, async |handle| {
        for (node, pods) in routes {
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(pods.network(), pods.prefix_len())
                .gateway(*node)
                .build();
            handle.route().add(route).replace().execute().await.map_err(at("a route to a node's pods"))?;
        }
        Ok(())
    })
}

/// Takes the bridge's end of a node's pair away, where it is still there: the kernel is in no hurry
/// with a namespace that ended.
///
/// # Errors
/// The kernel refuses.
pub fn detach(sandbox: &HostNet, number: u32) -> Result<(), NetworkError> {
    within(sandbox, async |handle| match index(&outside(number)) {
        Ok(link) => match handle.link().del(link).execute().await {
            // The kernel was faster.
            Err(rtnetlink::Error::NetlinkError(message)) if -message.raw_code() == nix::libc::ENODEV => Ok(()),
            result => result.map_err(at("removing a node's links")),
        },
        Err(_) => Ok(()),
    })
}

fn within<T: Send>(
    namespace: &HostNet,
    work: impl AsyncFnOnce(Handle) -> Result<T, NetworkError> + Send,
) -> Result<T, NetworkError> {
    let done = namespace.run(|| with_netlink(work));
    done.map_err(|error| NetworkError::new("entering a node's network namespace", error))?
}
