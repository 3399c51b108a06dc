//! The address plan: divides a cluster's CIDR into ranges for pods, Services and nodes.
//!
//! It only calculates. It must not know interfaces, the kernel's routes or any component; the
//! host's routes are passed as text.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The prefix length of the largest allowed CIDR.
pub const MIN_PREFIX: u8 = 8;
/// The prefix length of the smallest allowed CIDR.
pub const MAX_PREFIX: u8 = 24;
/// The prefix length of a node's pod CIDR, if the range of all pods is large enough.
const NODE_PREFIX: u8 = 24;
/// kube-apiserver before 1.34 rejects larger Service ranges, and a user may select such a version.
const MIN_SERVICE_PREFIX: u8 = 12;

/// The port of the cluster's local registry: the registry's default port.
const REGISTRY_PORT: u16 = 5000;

/// Ranges that a cluster can't use, and their purposes.
const RESERVED: [(Ipv4Addr, u8, &str); 5] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved and broadcast"),
];

/// A CIDR can't be divided as needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text isn't an IPv4 CIDR.
    #[error("`{0}` is not an IPv4 CIDR, write it as ADDRESS/PREFIX: 10.10.0.0/16")]
    NotACidr(String),
    /// The address has bits after the prefix.
    #[error("`{given}` has host bits set, the network's address is `{network}`")]
    HostBits {
        /// As given.
        given: Ipv4Net,
        /// The CIDR with the host bits cleared.
        network: Ipv4Net,
    },
    /// Too few addresses for pods, Services and nodes.
    #[error("`{0}` is too small for pods, Services and nodes, give a prefix from /{MIN_PREFIX} to /{MAX_PREFIX}")]
    TooSmall(Ipv4Net),
    /// More addresses than one cluster can use.
    #[error("`{0}` is too large, give a prefix from /{MIN_PREFIX} to /{MAX_PREFIX}")]
    TooLarge(Ipv4Net),
    /// The CIDR overlaps a reserved range.
    #[error(
        "`{cidr}` overlaps `{reserved}`, which is reserved ({purpose}): choose another range, 10.10.0.0/16 for example"
    )]
    Reserved {
        /// As given.
        cidr: Ipv4Net,
        /// The reserved range.
        reserved: Ipv4Net,
        /// The purpose of the range.
        purpose: &'static str,
    },
    /// All pod CIDRs are in use.
    #[error("node {index} gets no pod CIDR: `{pods}` has only {most} of /{mask}, choose a larger --cidr")]
    NoPodCidr {
        /// The node's index, from 0.
        index: u32,
        /// The range of all pods.
        pods: Ipv4Net,
        /// The maximum number of nodes.
        most: u32,
        /// The prefix of each node's pod CIDR.
        mask: u8,
    },
}

/// The ranges of a cluster: the lower half of the CIDR for pods, the third quarter for Services,
/// the last quarter for nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPlan {
    /// The CIDR that contains all other ranges.
    pub cidr: Ipv4Net,
    /// Pods of all nodes: the lower half.
    pub pods: Ipv4Net,
    /// Services: the third quarter, or its first /12.
    pub services: Ipv4Net,
    /// The control plane and the nodes: the last quarter.
    pub nodes: Ipv4Net,
    /// The prefix length of each node's pod CIDR: 24, or that of the pods' range if it is smaller.
    pub node_mask: u8,
}

impl AddressPlan {
    /// Divides a CIDR.
    ///
    /// # Errors
    /// The CIDR has host bits, its prefix length isn't from 8 to 24, or it overlaps a reserved
    /// range.
    pub fn new(cidr: Ipv4Net) -> Result<Self, AddressError> {
        if cidr.addr() != cidr.network() {
            return Err(AddressError::HostBits { given: cidr, network: cidr.trunc() });
        }
        for (address, prefix, purpose) in RESERVED {
            let reserved = net(u32::from(address), prefix);
            if overlap(&cidr, &reserved) {
                return Err(AddressError::Reserved { cidr, reserved, purpose });
            }
        }
        let prefix = cidr.prefix_len();
        if prefix < MIN_PREFIX {
            return Err(AddressError::TooLarge(cidr));
        }
        if prefix > MAX_PREFIX {
            return Err(AddressError::TooSmall(cidr));
        }
        let first = u32::from(cidr.network());
        let quarter = 1u32 << (32 - (prefix + 2));
        let pods = net(first, prefix + 1);
        Ok(Self {
            cidr,
            pods,
            services: net(first + 2 * quarter, (prefix + 2).max(MIN_SERVICE_PREFIX)),
            nodes: net(first + 3 * quarter, prefix + 2),
            node_mask: NODE_PREFIX.max(pods.prefix_len()),
        })
    }

    /// The address of the Service `kubernetes`: the first of the Services' range.
    pub fn api_service_ip(&self) -> Ipv4Addr {
        nth(&self.services, 1)
    }

    /// The address of cluster DNS: the tenth of the Services' range.
    pub fn dns_ip(&self) -> Ipv4Addr {
        nth(&self.services, 10)
    }

    /// The address of the control plane: the first of the nodes' range.
    pub fn control_plane_ip(&self) -> Ipv4Addr {
        nth(&self.nodes, 1)
    }

    /// The address of the cluster's local registry.
    pub fn registry(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.control_plane_ip(), REGISTRY_PORT)
    }

    /// The address of a node, by its index from 0. Every node with a pod CIDR has an address in the
    /// nodes' range.
    pub fn node_ip(&self, index: u32) -> Ipv4Addr {
        nth(&self.nodes, index.saturating_add(2))
    }

    /// The maximum number of nodes: each needs a pod CIDR.
    pub fn max_nodes(&self) -> u32 {
        1 << (self.node_mask - self.pods.prefix_len())
    }

    /// The pod CIDR of a node, by its index from 0.
    ///
    /// # Errors
    /// The pods' range has fewer pod CIDRs.
    pub fn pod_cidr(&self, index: u32) -> Result<Ipv4Net, AddressError> {
        let most = self.max_nodes();
        if index >= most {
            return Err(AddressError::NoPodCidr { index, pods: self.pods, most, mask: self.node_mask });
        }
        Ok(net(u32::from(self.pods.network()) + (index << (32 - self.node_mask)), self.node_mask))
    }
}

/// Parses a CIDR that [`AddressPlan::new`] accepts, from a flag, a variable or a file.
///
/// # Errors
/// It isn't an IPv4 CIDR, or [`AddressPlan::new`] rejects it.
pub fn parse_cidr(text: &str) -> Result<Ipv4Net, AddressError> {
    let cidr = text.trim().parse().map_err(|_| AddressError::NotACidr(text.into()))?;
    AddressPlan::new(cidr).map(|plan| plan.cidr)
}

/// The routes in the text of `/proc/net/route` that overlap a CIDR, without the default route and
/// routes that are down.
pub fn routed_by_host(cidr: Ipv4Net, proc_net_route: &str) -> Vec<Ipv4Net> {
    /// `RTF_UP` of route(7).
    const UP: u32 = 1;
    let mut found: Vec<Ipv4Net> = proc_net_route
        .lines()
        .skip(1)
        .filter_map(|line| {
            // Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses are hexadecimal
            // in host byte order.
            let fields: Vec<&str> = line.split_whitespace().collect();
            let hex = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
            let address = |index: usize| Some(Ipv4Addr::from(hex(index)?.to_ne_bytes()));
            let route = Ipv4Net::with_netmask(address(1)?, address(7)?).ok()?;
            (hex(3)? & UP != 0 && route.prefix_len() > 0 && overlap(&cidr, &route)).then_some(route)
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// CIDRs overlap if one contains the other.
fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

/// The network with this prefix length that contains an address. All callers pass at most 32.
fn net(address: u32, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from(address), prefix).trunc()
}

/// The address with this offset in a network.
fn nth(net: &Ipv4Net, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()).saturating_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cidr: &str) -> AddressPlan {
        AddressPlan::new(cidr.parse().unwrap()).unwrap()
    }

    fn error(cidr: &str) -> String {
        parse_cidr(cidr).unwrap_err().to_string()
    }

    #[test]
    fn the_default_cidr_is_divided_into_a_half_and_two_quarters() {
        let plan = plan("10.10.0.0/16");
        assert_eq!(plan.pods.to_string(), "10.10.0.0/17");
        assert_eq!(plan.services.to_string(), "10.10.128.0/18");
        assert_eq!(plan.nodes.to_string(), "10.10.192.0/18");
        assert_eq!(plan.node_mask, 24);
        assert_eq!(plan.api_service_ip().to_string(), "10.10.128.1");
        assert_eq!(plan.dns_ip().to_string(), "10.10.128.10");
        assert_eq!(plan.control_plane_ip().to_string(), "10.10.192.1");
        assert_eq!(plan.node_ip(0).to_string(), "10.10.192.2");
        assert_eq!(plan.pod_cidr(0).unwrap().to_string(), "10.10.0.0/24");
        assert_eq!(plan.pod_cidr(127).unwrap().to_string(), "10.10.127.0/24");
    }

    #[test]
    fn every_allowed_prefix_gives_disjoint_ranges_within_the_cidr() {
        for prefix in MIN_PREFIX..=MAX_PREFIX {
            let plan = plan(&format!("10.0.0.0/{prefix}"));
            let parts = [plan.pods, plan.services, plan.nodes];
            for (index, part) in parts.iter().enumerate() {
                assert!(plan.cidr.contains(part), "{part} in {}", plan.cidr);
                assert!(parts[index + 1..].iter().all(|other| !overlap(part, other)), "{parts:?}");
            }
            let last = plan.max_nodes() - 1;
            assert!(plan.pods.contains(&plan.pod_cidr(last).unwrap()));
            assert!(plan.nodes.contains(&plan.node_ip(last)), "a node's address for each pod CIDR");
            assert!(plan.services.contains(&plan.dns_ip()) && plan.services.prefix_len() >= MIN_SERVICE_PREFIX);
        }
    }

    #[test]
    fn the_smallest_cidr_has_one_node_with_all_pods() {
        let plan = plan("192.168.7.0/24");
        assert_eq!((plan.node_mask, plan.max_nodes()), (25, 1));
        assert_eq!(plan.pod_cidr(0).unwrap().to_string(), "192.168.7.0/25");
        let error = plan.pod_cidr(1).unwrap_err().to_string();
        assert!(error.contains("node 1 gets no pod CIDR: `192.168.7.0/25` has only 1 of /25"), "{error}");
    }

    #[test]
    fn an_invalid_cidr_is_named() {
        for text in ["", "10.10.0.0", "10.10.0.0/33", "10.10/16", "fd00::/64", "nonsense"] {
            let error = error(text);
            assert!(error.contains(&format!("`{text}` is not an IPv4 CIDR")), "{error}");
        }
    }

    #[test]
    fn the_error_about_host_bits_names_the_network() {
        assert_eq!(error("10.10.3.1/16"), "`10.10.3.1/16` has host bits set, the network's address is `10.10.0.0/16`");
    }

    #[test]
    fn the_error_about_a_size_names_the_limits() {
        assert!(error("10.10.0.0/25").contains("too small for pods, Services and nodes, give a prefix from /8 to /24"));
        assert!(error("64.0.0.0/7").contains("`64.0.0.0/7` is too large"));
        assert!(error("10.0.0.1/32").contains("too small"));
    }

    #[test]
    fn the_error_about_a_reserved_range_names_both() {
        for (given, reserved) in [
            ("127.0.0.0/16", "127.0.0.0/8"),
            ("169.254.0.0/16", "169.254.0.0/16"),
            ("169.0.0.0/8", "169.254.0.0/16"),
            ("224.1.0.0/16", "224.0.0.0/4"),
            ("240.0.0.0/8", "240.0.0.0/4"),
            ("0.0.0.0/8", "0.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/8"),
        ] {
            let error = error(given);
            assert!(error.contains(&format!("`{given}` overlaps `{reserved}`")), "{error}");
        }
    }

    /// The text of `/proc/net/route` with these routes, in this machine's byte order.
    fn table(rows: &[(&str, u8, u32)]) -> String {
        let hex = |address: Ipv4Addr| format!("{:08X}", u32::from_ne_bytes(address.octets()));
        let rows = rows.iter().map(|(address, prefix, flags)| {
            let route = Ipv4Net::new(address.parse().unwrap(), *prefix).unwrap();
            format!("eth0\t{}\t00000000\t{flags:04X}\t0\t0\t0\t{}\t0\t0\t0\n", hex(route.addr()), hex(route.netmask()))
        });
        format!(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n{}",
            rows.collect::<String>()
        )
    }

    #[test]
    fn smaller_and_larger_overlapping_routes_are_found() {
        let text = table(&[("0.0.0.0", 0, 3), ("10.10.5.0", 24, 1), ("10.0.0.0", 8, 3), ("172.17.0.0", 16, 1)]);
        let cidr = "10.10.0.0/16".parse().unwrap();
        let found: Vec<String> = routed_by_host(cidr, &text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.0/8", "10.10.5.0/24"]);
    }

    #[test]
    fn routes_that_are_down_and_invalid_lines_are_ignored() {
        let text = table(&[("10.10.5.0", 24, 0)]) + "garbage\n\neth0 zz 0 1 0 0 0 zz\n";
        assert_eq!(routed_by_host("10.10.0.0/16".parse().unwrap(), &text), []);
        let real = std::fs::read_to_string("/proc/net/route").unwrap();
        assert_eq!(
            routed_by_host("198.18.0.0/24".parse().unwrap(), &real),
            [],
            "no machine routes the benchmark range"
        );
    }
}
