//! Forwards the API and the registry from the host's 127.0.0.1, and from the same ports inside, to
//! the components.

use super::Cluster;
use crate::boot::Inside;
use crate::network::balance::Balancer;
use crate::network::forward;
use kubernix_core::roles;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Forwards the API to all members of the control plane.
pub(super) fn forward_api(inside: &Inside, cluster: &Cluster) -> io::Result<()> {
    let servers = cluster.endpoints(roles::APISERVER_PORT).into_iter().map(|url| {
        let address = url.split("//").nth(1).and_then(|rest| rest.parse::<SocketAddr>().ok());
        address.ok_or_else(|| io::Error::other(format!("`{url}` is not https://IP:PORT")))
    });
    let servers = servers.collect::<io::Result<Vec<_>>>()?;
    let Some(port) = servers.first().map(SocketAddr::port) else { return Ok(()) };
    let environment = &inside.boot.environment;
    let mut listeners = vec![inside.listener.try_clone()?];
    // Listens on the same port inside, so that the admin's kubeconfig works there as well. If the
    // API server uses this port itself, it listens there already.
    let listens_itself = environment.members.is_empty() && port == inside.boot.api_port;
    if !listens_itself {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, inside.boot.api_port))?);
    }
    if !environment.members.is_empty() {
        listeners.push(TcpListener::bind((environment.addresses.control_plane_ip(), port))?);
    }
    let balancer = Balancer::new(servers);
    tokio::task::spawn_local(balancer.clone().watch());
    for listener in listeners {
        listener.set_nonblocking(true)?;
        tokio::task::spawn_local(balancer.clone().run(tokio::net::TcpListener::from_std(listener)?));
    }
    Ok(())
}

/// Forwards the local registry. While it isn't up yet, connections are refused.
pub(super) fn forward_registry(inside: &Inside) -> io::Result<()> {
    let Some(outer) = &inside.registry else { return Ok(()) };
    // The same port inside, so that images have the same names there.
    let inner = TcpListener::bind((Ipv4Addr::LOCALHOST, inside.boot.environment.registry_port));
    let address = SocketAddr::V4(inside.boot.environment.addresses.registry());
    for listener in [outer.try_clone()?].into_iter().chain(inner) {
        listener.set_nonblocking(true)?;
        tokio::task::spawn_local(forward::run(tokio::net::TcpListener::from_std(listener)?, address));
    }
    Ok(())
}
