//! The uplink: a veth pair between the host and a sandbox, and the rules that let connections out.
//!
//! Two clusters may use the same addresses. So the sandbox masquerades its addresses as the address
//! of its end of the pair, which is unique on this host, and the host masquerades that as its own.
//!
//! The kernel removes the links with the sandbox, and the nftables table with its owner. Only
//! forwarding has to be reverted if it was off before. What to revert is recorded in the cluster's
//! directory and on the host's end of the pair.

use super::egress::DefaultRoute;
use super::host_net::HostNet;
use super::netlink::{BRIDGE, NetworkError, at, index, with_netlink};
use super::nft::{self, Chain, Expr, Hook, Table};
use super::plan::{AddressPlan, routed_by_host};
use crate::HostLock;
use crate::cluster_dir::ClusterDir;
use crate::write::write_atomic;
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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

/// What to revert on the host when the cluster ends. A file in the cluster's directory.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct UplinkRecord {
    /// The host's end of the pair.
    link: String,
    /// Distinguishes this end from a later one with the same name: the cluster's ID, a space, and
    /// nanoseconds since the epoch.
    token: String,
    /// Links of the host for which forwarding was switched on.
    forwarding: Vec<String>,
}

fn record_path(root: &ClusterDir) -> PathBuf {
    root.run().join("uplink.json")
}

impl UplinkRecord {
    /// Finds the record of a cluster with one of these IDs: in its directory, or on the host's end
    /// of the pair if the file is missing, damaged or another cluster's. `None` if there is nothing
    /// to revert.
    fn find(root: &ClusterDir, ids: &BTreeSet<String>) -> Option<Self> {
        let path = record_path(root);
        let damage = match fs::read(&path).map(|text| serde_json::from_slice::<Self>(&text)) {
            Ok(Ok(note)) if note.is_of(ids) => return Some(note),
            // The directory is a copy of another cluster's directory. That cluster may be running.
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        };
        let links = with_netlink(async |handle| Ok(peers(&handle, "").await)).unwrap_or_default();
        let note = Self::among(&links, ids);
        match (&note, damage) {
            (Some(note), Some(damage)) => {
                log::warn!("`{}` can't be read ({damage}); link `{}` tells the same", path.display(), note.link)
            }
            (None, Some(damage)) => log::warn!(
                "`{}` can't be read ({damage}): `sysctl -a --pattern forwarding` shows whether this host still forwards \
                 between its links, which the cluster may have switched on",
                path.display()
            ),
            (_, None) => {}
        }
        note
    }

    /// Finds the record of a cluster with one of these IDs on these links, which are given with
    /// their aliases.
    fn among(links: &[(String, String)], ids: &BTreeSet<String>) -> Option<Self> {
        links.iter().filter_map(|(link, alias)| Self::of_link(link, alias)).find(|note| note.is_of(ids))
    }

    /// Parses the alias of a link. `None` if it isn't an uplink's.
    fn of_link(link: &str, alias: &str) -> Option<Self> {
        let (token, _) = alias.split_once(" forwarding=")?;
        let forwarding = recorded_forwarding(alias).map(str::to_owned).collect();
        Some(Self { link: link.to_owned(), token: token.to_owned(), forwarding })
    }

    /// Whether the token has one of these IDs. An older version wrote the cluster's name instead of
    /// the ID.
    fn is_of(&self, ids: &BTreeSet<String>) -> bool {
        self.token.split_once(' ').is_some_and(|(id, _)| ids.contains(id))
    }

    fn write(&self, root: &ClusterDir) -> io::Result<()> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        write_atomic(&record_path(root), &text, 0o600)
    }

    /// The alias of the link, which other clusters read.
    fn alias(&self) -> String {
        format!("{} forwarding={}", self.token, self.forwarding.join(","))
    }
}

/// The links in an alias for which forwarding was switched on.
fn recorded_forwarding(alias: &str) -> impl Iterator<Item = &str> {
    let list = alias.split_once("forwarding=").map(|(_, list)| list).unwrap_or_default();
    list.split(',').filter(|name| !name.is_empty())
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
    let outside = host.run(|| outside(&sandbox, lock, root, id, route));
    let (gateway, own, table, warnings) =
        outside.map_err(|error| NetworkError::new("entering the host's network namespace", error))??;
    let hidden = Chain {
        name: "postrouting",
        hook: Hook::PostRouting,
        rules: vec![vec![Expr::To(INSIDE.into()), Expr::Masquerade]],
    };
    let inner =
        Table::new("kubernix-uplink", &[hidden]).map_err(|error| NetworkError::new("a table of nftables", error))?;
    with_netlink(async |handle| inside(&handle, gateway, own, addresses).await)?;
    Ok(Uplink { _tables: [table, inner], warnings })
}

type Outside = (Ipv4Addr, Ipv4Addr, Table, Vec<String>);

/// Creates the host's half.
fn outside(
    sandbox: &HostNet,
    lock: &HostLock,
    root: &ClusterDir,
    id: &str,
    route: &DefaultRoute,
) -> Result<Outside, NetworkError> {
    // An earlier run of this cluster may have been killed together with its keeper.
    revert_by_id(root, id, lock);
    let _held = lock.take();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut note = UplinkRecord { token: format!("{id} {}", since.as_nanos()), ..UplinkRecord::default() };
    let number = with_netlink(async |handle| pair_of_links(&handle, sandbox, route, &mut note).await)?;
    let forwards = switch_on(root, route, &mut note)?;
    with_netlink(async |handle| label(&handle, &note).await)?;
    let link = note.link.clone();
    let mut pass = vec![
        // Connections are only opened from inside.
        vec![Expr::To(link.clone()), Expr::New, Expr::Drop],
    ];
    if !forwards {
        // The host didn't forward before, so other packets are still dropped.
        let ours = format!("{OUTSIDE}*");
        pass.extend([vec![Expr::From(ours.clone()), Expr::Accept], vec![Expr::To(ours), Expr::Accept]]);
        pass.push(vec![Expr::Drop]);
    }
    let chains = [
        Chain {
            name: "postrouting",
            hook: Hook::PostRouting,
            rules: vec![vec![Expr::From(link.clone()), Expr::Masquerade]],
        },
        Chain { name: "forward", hook: Hook::Forward, rules: pass },
    ];
    let closed = nft::closed_to_forwarding();
    let table = Table::new(&format!("kubernix-{id}"), &chains)
        .map_err(|error| NetworkError::new("a table of nftables", error))?;
    let [gateway, own] = pair(number);
    Ok((gateway, own, table, closed.iter().map(|chain| blocked(chain, &link)).collect()))
}

/// The warning about a chain that drops forwarded packets. A rule in another table can't overrule
/// it, and KuberNix doesn't change foreign rules.
fn blocked(chain: &str, link: &str) -> String {
    format!(
        "this host's firewall drops what it doesn't know (chain {chain}): image pulls from outside fail until it lets the \
         cluster's link pass, with docker for example by `iptables -I DOCKER-USER -i {link} -j ACCEPT` and \
         `iptables -I DOCKER-USER -o {link} -j ACCEPT`"
    )
}

/// Creates the pair with the first free number. The name of the link reserves it.
async fn pair_of_links(
    handle: &Handle,
    sandbox: &HostNet,
    route: &DefaultRoute,
    note: &mut UplinkRecord,
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
            result => result.map_err(at("making the uplink"))?,
        }
        let index = index(&name)?;
        let request = handle.address().add(index, IpAddr::V4(gateway), 31);
        request.execute().await.map_err(at("the uplink's address on the host"))?;
        note.link = name;
        return Ok(number);
    }
    Err(NetworkError::new("making the uplink", format!("{MAX_UPLINKS} clusters of this host have one already")))
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
fn switch_on(root: &ClusterDir, route: &DefaultRoute, note: &mut UplinkRecord) -> Result<bool, NetworkError> {
    let failed = |error: io::Error| NetworkError::new("letting the host forward", error);
    let others = with_netlink(async |handle| Ok(peers(&handle, &note.link).await))?;
    let by_others: Vec<&str> = others.iter().flat_map(|(_, alias)| recorded_forwarding(alias)).collect();
    let by_us = |link: &&String| !forwards(link) || by_others.contains(&link.as_str());
    note.forwarding = route.links.iter().filter(by_us).cloned().collect();
    // Recorded before it is done: if the process is killed in between, the record has too much
    // rather than too little.
    note.write(root).map_err(failed)?;
    for link in note.forwarding.iter().chain([&note.link]).filter(|link| !forwards(link)) {
        fs::write(sysctl(link), "1").map_err(failed)?;
    }
    Ok(note.forwarding.is_empty())
}

/// All links of the namespace.
async fn links(handle: &Handle) -> Vec<LinkMessage> {
    handle.link().get().execute().try_collect().await.unwrap_or_default()
}

fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

fn alias_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfAlias(alias) => Some(alias.as_str()),
        _ => None,
    })
}

/// The host's ends of other clusters' pairs, with their aliases.
async fn peers(handle: &Handle, own: &str) -> Vec<(String, String)> {
    let all = links(handle).await;
    let named = all.iter().filter_map(|link| {
        let name = name_of(link).filter(|name| name.starts_with(OUTSIDE) && *name != own)?;
        Some((name.to_owned(), alias_of(link).unwrap_or_default().to_owned()))
    });
    named.collect()
}

async fn label(handle: &Handle, note: &UplinkRecord) -> Result<(), NetworkError> {
    let link = LinkUnspec::new_with_index(index(&note.link)?).alias(note.alias()).build();
    handle.link().set(link).execute().await.map_err(at("labelling the uplink"))
}

/// Creates the sandbox's half.
async fn inside(
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

/// The changes on the host that an uplink has to revert.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HostChanges(Option<UplinkRecord>);

/// Finds what a cluster's uplink changed on the host. The calling thread is in the host's network
/// namespace. `ids` are the IDs that the cluster has had. The record is in the cluster's directory,
/// or else on the host's end of the pair.
pub fn find_host_changes(root: &ClusterDir, ids: &BTreeSet<String>) -> HostChanges {
    HostChanges(UplinkRecord::find(root, ids))
}

/// Reverts what the uplink of the cluster with this ID changed on the host. The calling thread is
/// in the host's network namespace. Does nothing if there is nothing to revert.
pub fn revert_by_id(root: &ClusterDir, id: &str, lock: &HostLock) {
    revert(root, lock, find_host_changes(root, &BTreeSet::from([id.to_owned()])));
}

/// Reverts changes that were looked up before the sandbox ended.
pub fn revert(root: &ClusterDir, lock: &HostLock, taken: HostChanges) {
    let Some(note) = taken.0 else { return };
    // Each cluster reads the links of the others before it changes forwarding.
    let _held = lock.take();
    let result = with_netlink(async |handle| {
        // The kernel removes the link with the sandbox. Another cluster's link may have its name by
        // now.
        let ours = peers(&handle, "").await.into_iter().any(|(name, alias)| {
            name == note.link && (alias.is_empty() || alias.starts_with(&format!("{} ", note.token)))
        });
        if ours && let Ok(index) = if_nametoindex(&*note.link) {
            handle.link().del(index).execute().await.map_err(at("removing the uplink"))?;
        }
        Ok(peers(&handle, "").await)
    });
    match result {
        // Other clusters use forwarding, and have recorded it as well.
        Ok(others) if others.is_empty() => {
            for link in &note.forwarding {
                // Fails if the link is gone, which needs no change.
                let _ = fs::write(sysctl(link), "0");
            }
        }
        Ok(_) => {}
        Err(error) => log::warn!("{error}"),
    }
    // If it stays, the next clean-up reads it again.
    let _ = fs::remove_file(record_path(root));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_apart_and_within_one_range() {
        assert_eq!(pair(0).map(|ip| ip.to_string()), ["169.254.77.0", "169.254.77.1"]);
        assert_eq!(pair(MAX_UPLINKS - 1).map(|ip| ip.to_string()), ["169.254.77.254", "169.254.77.255"]);
    }

    const ID: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn note(id: &str) -> UplinkRecord {
        UplinkRecord { link: "kubernix-0".into(), token: format!("{id} 12"), forwarding: vec!["eth0".into()] }
    }

    #[test]
    fn a_note_is_taken_from_the_directory_of_its_own_cluster_alone() {
        let base = tempfile::tempdir().unwrap();
        // As the keeper and the init see the directory's name.
        let root = ClusterDir::at(base.path().join("7"));
        fs::create_dir_all(root.run()).unwrap();
        assert_eq!(UplinkRecord::find(&root, &ids(&[ID])), None, "there is none");
        note(ID).write(&root).unwrap();
        assert_eq!(UplinkRecord::find(&root, &ids(&[ID])), Some(note(ID)));
        assert_eq!(UplinkRecord::find(&root, &ids(&[OTHER, ID])), Some(note(ID)));
        assert_eq!(UplinkRecord::find(&root, &ids(&[OTHER, "7"])), None, "a copied directory has the original's note");
        // No link has these IDs.
        for damaged in ["", "{ \"link\": \"kube", "[]"] {
            fs::write(record_path(&root), damaged).unwrap();
            assert_eq!(UplinkRecord::find(&root, &ids(&[ID])), None, "{damaged}");
        }
    }

    #[test]
    fn a_link_tells_what_a_lost_note_did() {
        let link = |name: &str, alias: String| (name.to_owned(), alias);
        let links = [
            link("kubernix-0", note(OTHER).alias()),
            link("kubernix-1", String::new()),
            link("kubernix-2", "another program's".into()),
            link("kubernix-3", note(ID).alias()),
        ];
        assert_eq!(
            UplinkRecord::among(&links, &ids(&[ID])),
            Some(UplinkRecord { link: "kubernix-3".into(), ..note(ID) })
        );
        assert_eq!(UplinkRecord::among(&links, &ids(&[OTHER])), Some(note(OTHER)));
        assert_eq!(UplinkRecord::among(&links, &ids(&["0123456789abcde", "7", ""])), None);
        // By its name, for a cluster that an older version booted.
        let old = [link("kubernix-4", note("one").alias())];
        assert_eq!(
            UplinkRecord::among(&old, &ids(&["one"])),
            Some(UplinkRecord { link: "kubernix-4".into(), ..note("one") })
        );
        assert_eq!(UplinkRecord::among(&old, &ids(&["one-more", ID])), None);
    }

    #[test]
    fn what_is_written_on_a_link_is_read_again() {
        let forwarding = vec!["eth0".to_owned(), "wlan0".to_owned()];
        let note = UplinkRecord { link: "kubernix-0".into(), token: format!("{ID} 12"), forwarding };
        assert_eq!(recorded_forwarding(&note.alias()).collect::<Vec<_>>(), ["eth0", "wlan0"]);
        assert_eq!(recorded_forwarding("0123456789abcdef 12 forwarding=").count(), 0);
        assert_eq!(recorded_forwarding("somebody's own").count(), 0);
    }

    #[test]
    fn what_was_never_raised_needs_nothing() {
        let base = tempfile::tempdir().unwrap();
        let lock = HostLock::new(fs::File::open(base.path()).unwrap().into());
        revert(&ClusterDir::at(base.path().join("one")), &lock, HostChanges::default());
    }
}
