//! Links, addresses and routes in the sandbox's network namespace.
//!
//! All functions work in the namespace of the calling thread, which must be the sandbox's. The
//! kernel removes the links with the namespace.

use ipnet::Ipv4Net;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rtnetlink::{Handle, LinkBridge, LinkUnspec, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// The bridge that connects the nodes. At most 15 bytes (IFNAMSIZ).
pub const BRIDGE: &str = "kubernix0";

/// The metric of the fallback default route, higher than any other.
const FALLBACK_METRIC: u32 = 1 << 16;

/// The sandbox's network can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox's network can't be set up: {step}: {cause}")]
pub struct NetworkError {
    step: &'static str,
    cause: Cause,
}

/// The cause of a [`NetworkError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The kernel rejected a netlink request.
    #[error(transparent)]
    Netlink(#[from] rtnetlink::Error),
    /// A link doesn't exist.
    #[error("{name}: {errno}")]
    Link {
        /// The name of the link.
        name: String,
        /// The error of if_nametoindex(3).
        errno: Errno,
    },
    /// All addresses for uplinks are in use.
    #[error("this host has the maximum of {0} uplinks already")]
    NoFreeUplink(u8),
}

impl NetworkError {
    pub(super) fn new(step: &'static str, cause: impl Into<Cause>) -> Self {
        Self { step, cause: cause.into() }
    }
}

pub(super) fn at(step: &'static str) -> impl Fn(rtnetlink::Error) -> NetworkError {
    move |error| NetworkError::new(step, error)
}

/// The index of a link.
pub(super) fn index(name: &str) -> Result<u32, NetworkError> {
    let missing = |errno| NetworkError::new("finding a link", Cause::Link { name: name.to_owned(), errno });
    if_nametoindex(name).map_err(missing)
}

/// Runs `work` with a netlink socket of the calling thread's namespace. The thread must not be in a
/// tokio runtime.
pub(super) fn with_netlink<T>(work: impl AsyncFnOnce(Handle) -> Result<T, NetworkError>) -> Result<T, NetworkError> {
    let failed = |error: io::Error| NetworkError::new("opening a netlink socket", error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(failed)?;
        let connection = tokio::spawn(connection);
        let result = work(handle).await;
        connection.abort();
        result
    })
}

/// Brings up loopback and the node bridge with these addresses, and a default route through the
/// bridge. Service addresses need a route before they are translated, so no Service would be
/// reachable without one.
///
/// # Errors
/// The kernel refuses: it has no bridge support, or privileges are missing.
pub async fn set_up(range: Ipv4Net, addresses: &[Ipv4Addr]) -> Result<(), NetworkError> {
    let failed = |error: io::Error| NetworkError::new("opening a netlink socket", error);
    let (connection, handle, _) = rtnetlink::new_connection().map_err(failed)?;
    let connection = tokio::spawn(connection);
    let result = configure(&handle, range, addresses).await;
    connection.abort();
    result?;
    route_packets()
}

/// Lets the calling thread's namespace forward packets, and bridged packets pass through netfilter.
pub(super) fn route_packets() -> Result<(), NetworkError> {
    sysctl("net/ipv4/ip_forward", "1").map_err(|error| NetworkError::new("net.ipv4.ip_forward", error))?;
    // Absent until br_netfilter is loaded, and 1 from then on.
    let _ = sysctl("net/bridge/bridge-nf-call-iptables", "1");
    Ok(())
}

async fn configure(handle: &Handle, range: Ipv4Net, addresses: &[Ipv4Addr]) -> Result<(), NetworkError> {
    let loopback = LinkUnspec::new_with_index(1).up().build();
    handle.link().set(loopback).execute().await.map_err(at("loopback"))?;
    handle.link().add(LinkBridge::new(BRIDGE).up().build()).execute().await.map_err(at("creating the bridge"))?;
    let bridge = index(BRIDGE)?;
    for address in addresses {
        let request = handle.address().add(bridge, IpAddr::V4(*address), range.prefix_len());
        request.execute().await.map_err(at("adding an address"))?;
    }
    // The fallback. An uplink's route has a lower metric.
    let route = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(bridge).priority(FALLBACK_METRIC).build();
    handle.route().add(route).execute().await.map_err(at("adding the default route"))
}

fn sysctl(path: &str, value: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/{path}"), value)
}
