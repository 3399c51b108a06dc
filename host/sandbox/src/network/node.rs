//! Connects a node with its own network namespace: a veth pair to the cluster's bridge, and routes
//! to the pods of the other nodes.

use super::host_net::HostNet;
use super::netlink::{BRIDGE, NetworkError, at, index, route_packets, with_netlink};
use super::plan::AddressPlan;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

/// The node's end of the pair.
const NODE_END: &str = "eth0";

/// The bridge's end of the pair, by the node's index.
fn bridge_end(node: u32) -> String {
    format!("node{node}")
}

/// A node's address, and its pod CIDR.
pub type Route = (Ipv4Addr, Ipv4Net);

/// Connects a node's namespace to the bridge in the namespace `sandbox`, with the address of the
/// node's index.
///
/// # Errors
/// The kernel refuses. What was created disappears with the node's namespace.
pub fn attach(sandbox: &HostNet, node: &HostNet, number: u32, addresses: &AddressPlan) -> Result<(), NetworkError> {
    within(sandbox, async |handle| {
        let peer =
            LinkMessageBuilder::<LinkUnspec>::new().name(NODE_END.to_owned()).setns_by_fd(node.as_fd().as_raw_fd());
        let data = InfoData::Veth(InfoVeth::Peer(peer.build()));
        let link =
            LinkVeth::new(&bridge_end(number), NODE_END).set_info_data(data).controller(index(BRIDGE)?).up().build();
        handle.link().add(link).execute().await.map_err(at("creating a node's links"))
    })?;
    let (own, gateway) = (addresses.node_ip(number), addresses.control_plane_ip());
    within(node, async |handle| {
        let loopback = LinkUnspec::new_with_index(1).up().build();
        handle.link().set(loopback).execute().await.map_err(at("a node's loopback"))?;
        let link = index(NODE_END)?;
        let request = handle.address().add(link, IpAddr::V4(own), addresses.nodes.prefix_len());
        request.execute().await.map_err(at("a node's address"))?;
        handle
            .link()
            .set(LinkUnspec::new_with_index(link).up().build())
            .execute()
            .await
            .map_err(at("a node's link"))?;
        let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(link);
        handle.route().add(default.build()).execute().await.map_err(at("a node's default route"))?;
        route_packets()
    })
}

/// Adds routes to the pods of these nodes.
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

/// Removes the bridge's end of a node's pair if it still exists: the kernel removes an ended
/// namespace with a delay.
///
/// # Errors
/// The kernel refuses.
pub fn detach(sandbox: &HostNet, number: u32) -> Result<(), NetworkError> {
    within(sandbox, async |handle| match index(&bridge_end(number)) {
        Ok(link) => match handle.link().del(link).execute().await {
            // The kernel has removed it meanwhile.
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
