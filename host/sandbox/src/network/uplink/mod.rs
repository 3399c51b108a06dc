//! The uplink: a veth pair between the host and a sandbox, and the rules that let connections out.
//!
//! Two clusters may use the same addresses. So the sandbox masquerades its addresses as the address
//! of its end of the pair, which is unique on this host, and the host masquerades that as its own.
//!
//! The kernel removes the links with the sandbox, and the nftables table with its owner. Only
//! forwarding has to be reverted if it was off before. What to revert is recorded in the cluster's
//! directory and on the host's end of the pair.

mod links;
mod record;
mod revert;

pub use revert::{HostChanges, find_host_changes, revert, revert_by_id};

use self::links::peers;
use self::record::{UplinkRecord, recorded_forwarding};
use super::egress::DefaultRoute;
use super::host_net::HostNet;
use super::netlink::{BRIDGE, Cause, NetworkError, at, index, with_netlink};
use super::nft::{self, Chain, Expr, Hook, Table};
use super::plan::{AddressPlan, routed_by_host};
use crate::HostLock;
use crate::cluster_dir::ClusterDir;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The sandbox's end.
pub const INSIDE: &str = "uplink";
/// The prefix of the host's ends. A number follows.
pub const OUTSIDE: &str = "kubernix-";
/// The maximum number of uplinks on a host: the addresses of their pairs are in one /24.
const MAX_UPLINKS: u8 = 128;
/// The first three bytes of the pairs' addresses. They are link-local, so a host routes them on a
/// single link only.
const PAIRS: [u8; 3] = [169, 254, 77];

/// An uplink. Its tables exist as long as this value.
#[derive(Debug)]
pub struct Uplink {
    _tables: [Table; 2],
    /// Reasons why connections may fail, as text for the user.
    pub warnings: Vec<String>,
}

/// The addresses of a pair, the host's and the sandbox's: a /31.
fn pair(number: u8) -> [Ipv4Addr; 2] {
    let [a, b, c] = PAIRS;
    [0, 1].map(|end| Ipv4Addr::new(a, b, c, number * 2 + end))
}

/// Creates the uplink of the sandbox in whose namespace the calling thread is. Has no prerequisites
/// inside the sandbox but the bridge.
///
/// # Errors
/// The kernel refuses. What was created disappears with the sandbox.
pub fn create(
    host: &HostNet,
    lock: &HostLock,
    root: &ClusterDir,
    id: &str,
    route: &DefaultRoute,
    addresses: &AddressPlan,
) -> Result<Uplink, NetworkError> {
    let sandbox = HostNet::of_thread().map_err(|error| NetworkError::new("the sandbox's network namespace", error))?;
    let host_side = host.run(|| create_on_host(&sandbox, lock, root, id, route));
    let (gateway, own, table, warnings) =
        host_side.map_err(|error| NetworkError::new("entering the host's network namespace", error))??;
    let masquerade = Chain {
        name: "postrouting",
        hook: Hook::PostRouting,
        rules: vec![vec![Expr::To(INSIDE.into()), Expr::Masquerade]],
    };
    let inner = Table::new("kubernix-uplink", &[masquerade])
        .map_err(|error| NetworkError::new("creating an nftables table", error))?;
    with_netlink(async |handle| create_in_sandbox(&handle, gateway, own, addresses).await)?;
    Ok(Uplink { _tables: [table, inner], warnings })
}

/// The addresses of the host and the sandbox, the host's table, and warnings.
type HostSide = (Ipv4Addr, Ipv4Addr, Table, Vec<String>);

/// Creates the host's half.
fn create_on_host(
    sandbox: &HostNet,
    lock: &HostLock,
    root: &ClusterDir,
    id: &str,
    route: &DefaultRoute,
) -> Result<HostSide, NetworkError> {
    // An earlier run of this cluster may have been killed together with its keeper.
    revert_by_id(root, id, lock);
    let _guard = lock.take();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut record = UplinkRecord { token: format!("{id} {}", since.as_nanos()), ..UplinkRecord::default() };
    let number = with_netlink(async |handle| pair_of_links(&handle, sandbox, route, &mut record).await)?;
    let forwards = switch_on(root, route, &mut record)?;
    with_netlink(async |handle| label(&handle, &record).await)?;
    let link = record.link.clone();
    let mut forward_rules = vec![
        // Connections are only opened from inside.
        vec![Expr::To(link.clone()), Expr::New, Expr::Drop],
    ];
    if !forwards {
        // The host didn't forward before, so other packets are still dropped.
        let ours = format!("{OUTSIDE}*");
        forward_rules.extend([vec![Expr::From(ours.clone()), Expr::Accept], vec![Expr::To(ours), Expr::Accept]]);
        forward_rules.push(vec![Expr::Drop]);
    }
    let chains = [
        Chain {
            name: "postrouting",
            hook: Hook::PostRouting,
            rules: vec![vec![Expr::From(link.clone()), Expr::Masquerade]],
        },
        Chain { name: "forward", hook: Hook::Forward, rules: forward_rules },
    ];
    let closed = nft::closed_to_forwarding();
    let table = Table::new(&format!("kubernix-{id}"), &chains)
        .map_err(|error| NetworkError::new("creating an nftables table", error))?;
    let [gateway, own] = pair(number);
    Ok((gateway, own, table, closed.iter().map(|chain| blocked(chain, &link)).collect()))
}

/// The warning about a chain that drops forwarded packets. A rule in another table can't overrule
/// it, and KuberNix doesn't change foreign rules.
fn blocked(chain: &str, link: &str) -> String {
    format!(
        "this host's firewall drops forwarded packets (chain {chain}): image pulls fail until it accepts packets of \
         the cluster's link, for docker with `iptables -I DOCKER-USER -i {link} -j ACCEPT` and \
         `iptables -I DOCKER-USER -o {link} -j ACCEPT`"
    )
}

/// Creates the pair with the first free number. The name of the link reserves it.
async fn pair_of_links(
    handle: &Handle,
    sandbox: &HostNet,
    route: &DefaultRoute,
    record: &mut UplinkRecord,
) -> Result<u8, NetworkError> {
    let routes = fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    for number in 0..MAX_UPLINKS {
        let [gateway, _] = pair(number);
        let range = Ipv4Net::new_assert(gateway, 31);
        // A route of all link-local addresses doesn't count.
        if routed_by_host(range, &routes).iter().any(|route| route.prefix_len() > 16) {
            continue;
        }
        let name = format!("{OUTSIDE}{number}");
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(INSIDE.to_owned())
            .mtu(route.mtu)
            .setns_by_fd(sandbox.as_fd().as_raw_fd());
        let data = InfoData::Veth(InfoVeth::Peer(peer.build()));
        let link = LinkVeth::new(&name, INSIDE).set_info_data(data).mtu(route.mtu).up().build();
        match handle.link().add(link).execute().await {
            Err(rtnetlink::Error::NetlinkError(message)) if -message.raw_code() == nix::libc::EEXIST => continue,
            result => result.map_err(at("creating the uplink"))?,
        }
        let index = index(&name)?;
        let request = handle.address().add(index, IpAddr::V4(gateway), 31);
        request.execute().await.map_err(at("the uplink's address on the host"))?;
        record.link = name;
        return Ok(number);
    }
    Err(NetworkError::new("creating the uplink", Cause::NoFreeUplink(MAX_UPLINKS)))
}

fn sysctl(link: &str) -> PathBuf {
    // In a path below /proc/sys, the dots of a link's name stay.
    format!("/proc/sys/net/ipv4/conf/{link}/forwarding").into()
}

fn forwards(link: &str) -> bool {
    fs::read_to_string(sysctl(link)).is_ok_and(|text| text.trim() != "0")
}

/// Switches on forwarding for the host's links to other networks and the host's end of the pair.
/// Returns whether forwarding was on before.
fn switch_on(root: &ClusterDir, route: &DefaultRoute, record: &mut UplinkRecord) -> Result<bool, NetworkError> {
    let failed = |error: io::Error| NetworkError::new("switching on forwarding", error);
    let others = with_netlink(async |handle| Ok(peers(&handle, &record.link).await))?;
    let by_others: Vec<&str> = others.iter().flat_map(|(_, alias)| recorded_forwarding(alias)).collect();
    let by_us = |link: &&String| !forwards(link) || by_others.contains(&link.as_str());
    record.forwarding = route.links.iter().filter(by_us).cloned().collect();
    // Recorded before it is done: if the process is killed in between, the record has too much
    // rather than too little.
    record.write(root).map_err(failed)?;
    for link in record.forwarding.iter().chain([&record.link]).filter(|link| !forwards(link)) {
        fs::write(sysctl(link), "1").map_err(failed)?;
    }
    Ok(record.forwarding.is_empty())
}

async fn label(handle: &Handle, record: &UplinkRecord) -> Result<(), NetworkError> {
    let link = LinkUnspec::new_with_index(index(&record.link)?).alias(record.alias()).build();
    handle.link().set(link).execute().await.map_err(at("labelling the uplink"))
}

/// Creates the sandbox's half.
async fn create_in_sandbox(
    handle: &Handle,
    gateway: Ipv4Addr,
    own: Ipv4Addr,
    addresses: &AddressPlan,
) -> Result<(), NetworkError> {
    let (uplink, bridge) = (index(INSIDE)?, index(BRIDGE)?);
    let request = handle.address().add(uplink, IpAddr::V4(own), 31);
    request.execute().await.map_err(at("the uplink's address"))?;
    let up = LinkUnspec::new_with_index(uplink).up().build();
    handle.link().set(up).execute().await.map_err(at("the uplink"))?;
    // Unused addresses of the cluster, such as a Service without pods, must not be routed to the
    // host.
    let (cidr, prefix) = (addresses.cidr.network(), addresses.cidr.prefix_len());
    let own = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(cidr, prefix).output_interface(bridge);
    handle.route().add(own.build()).execute().await.map_err(at("the cluster's own route"))?;
    let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(uplink);
    handle.route().add(default.build()).execute().await.map_err(at("the uplink's route"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_apart_and_within_one_range() {
        assert_eq!(pair(0).map(|ip| ip.to_string()), ["169.254.77.0", "169.254.77.1"]);
        assert_eq!(pair(MAX_UPLINKS - 1).map(|ip| ip.to_string()), ["169.254.77.254", "169.254.77.255"]);
    }
}
