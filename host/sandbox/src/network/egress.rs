//! The host's access to other networks: the default route, resolvers and proxies.
//!
//! The command that boots detects it, because its network and environment count. It is saved for
//! the cluster's init.

use super::plan::AddressPlan;
use super::proxy::{self, Proxies};
use super::resolver::{self, Resolver};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;

/// Whether a cluster has access to other networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UplinkMode {
    /// If the host has a default route.
    #[default]
    Auto,
    /// Also if the host only reaches its directly connected networks.
    Always,
    /// Never.
    None,
}

impl UplinkMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Always, Self::None];
}

/// The text isn't an [`UplinkMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of auto, always and none")]
pub struct UnknownUplinkMode(String);

impl std::str::FromStr for UplinkMode {
    type Err = UnknownUplinkMode;

    fn from_str(text: &str) -> Result<Self, UnknownUplinkMode> {
        let found = Self::ALL.into_iter().find(|mode| mode.to_string() == text);
        found.ok_or_else(|| UnknownUplinkMode(text.to_owned()))
    }
}

impl fmt::Display for UplinkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::None => "none",
        })
    }
}

/// The host's links to other networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRoute {
    /// The smallest MTU of the links, in bytes.
    pub mtu: u32,
    /// The names of the links.
    pub links: Vec<String>,
}

/// The host's access to other networks, as far as the cluster may use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// The links to other networks. `None` if there are none.
    #[serde(rename = "way")]
    pub default_route: Option<DefaultRoute>,
    /// The name servers.
    pub resolver: Resolver,
    /// The HTTP proxies.
    pub proxies: Proxies,
}

impl Egress {
    /// Detects what this process's network and environment provide.
    pub fn detect(mode: UplinkMode, addresses: &AddressPlan) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mtu = |link: &str| read(&format!("/sys/class/net/{link}/mtu")).trim().parse().ok();
        let default_route = default_route(mode, &read("/proc/net/route"), mtu);
        let resolver = match &default_route {
            Some(_) => resolver::read(&read("/etc/resolv.conf"), addresses),
            None => Resolver::default(),
        };
        let proxies = proxy::of_environment(|name| std::env::var(name).ok());
        Self { default_route, resolver, proxies: if mode == UplinkMode::None { Proxies::default() } else { proxies } }
    }
}

/// Whether a line of `/proc/net/route` is a default route, and its link. `None` for routes that are
/// down and for loopback.
fn parse_route(line: &str) -> Option<(bool, String)> {
    /// `RTF_UP` of route(7).
    const UP: u32 = 1;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let hex = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
    let is_default = hex(1)? == 0 && hex(7)? == 0;
    let link = fields.first()?;
    (hex(3)? & UP != 0 && *link != "lo").then(|| (is_default, (*link).to_owned()))
}

/// Finds the default route in the text of `/proc/net/route`.
fn default_route(mode: UplinkMode, routes: &str, mtu: impl Fn(&str) -> Option<u32>) -> Option<DefaultRoute> {
    /// Ethernet's MTU, for links without one.
    const USUAL_MTU: u32 = 1500;
    let routes: Vec<_> = routes.lines().skip(1).filter_map(parse_route).collect();
    let has_default = routes.iter().any(|(is_default, _)| *is_default);
    let wanted = match mode {
        UplinkMode::None => false,
        UplinkMode::Auto => has_default,
        UplinkMode::Always => !routes.is_empty(),
    };
    if !wanted {
        return None;
    }
    let own = super::uplink::OUTSIDE;
    let links: BTreeSet<String> = routes
        .into_iter()
        .filter(|(is_default, link)| (*is_default || !has_default) && !link.starts_with(own))
        .map(|(_, link)| link)
        .collect();
    let mtu = links.iter().filter_map(|link| mtu(link)).min().unwrap_or(USUAL_MTU);
    Some(DefaultRoute { mtu, links: links.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
    const DEFAULT: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    const NEAR: &str = "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    fn found(mode: UplinkMode, routes: &[&str]) -> Option<Vec<String>> {
        default_route(mode, &(HEADER.to_owned() + &routes.concat()), |_| None).map(|route| route.links)
    }

    #[test]
    fn auto_needs_a_default_route_and_always_needs_any_route() {
        let links = |name: &str| Some(vec![name.to_owned()]);
        assert_eq!(found(UplinkMode::Auto, &[DEFAULT, NEAR]), links("eth0"));
        assert_eq!(found(UplinkMode::Auto, &[NEAR]), None);
        assert_eq!(found(UplinkMode::Always, &[NEAR]), links("eth1"));
        assert_eq!(found(UplinkMode::Always, &[]), None);
        assert_eq!(found(UplinkMode::None, &[DEFAULT]), None);
        let down = DEFAULT.replace("\t0003\t", "\t0002\t");
        assert_eq!(found(UplinkMode::Auto, &[&down]), None);
        let other = NEAR.replace("eth1", "kubernix-3");
        assert_eq!(found(UplinkMode::Always, &[NEAR, &other]), links("eth1"));
    }

    #[test]
    fn the_mtu_is_the_smallest_of_all_links() {
        let routes = HEADER.to_owned() + DEFAULT + &DEFAULT.replace("eth0", "tun0");
        let mtu = |link: &str| Some(if link == "tun0" { 1420 } else { 9000 });
        assert_eq!(default_route(UplinkMode::Auto, &routes, mtu).unwrap().mtu, 1420);
        assert_eq!(default_route(UplinkMode::Auto, &routes, |_| None).unwrap().mtu, 1500);
    }
}
