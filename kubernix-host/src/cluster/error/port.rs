//! Errors about ports of the host: the cluster's own ports, and published ports of nodes.

use crate::network::publish::{HostPort, PortSelector};
use std::fmt;
use std::io::{self, ErrorKind};

/// A port of the host can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The cluster can't listen on a port of its own.
    #[error(
        "port {port} of 127.0.0.1 can't be used: {cause}; choose another {flag}, or leave it out for the first free one"
    )]
    Unusable {
        /// The port.
        port: u16,
        /// The cause, or the process that has the port.
        cause: String,
        /// The flag that selects the port.
        flag: &'static str,
    },
    /// All ports of the range are in use.
    #[error("no port of 127.0.0.1 from {first} to {last} is free: end a cluster, or choose a port with {flag}")]
    NoneFree {
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
        /// The flag that selects a port.
        flag: &'static str,
    },
    /// A port can't be published at this address of the host.
    #[error(
        "port {} of {} ({}) can't be published: {}",
        .place.address.port(), .place.address.ip(), .place.protocol, Reason(.cause, .by)
    )]
    Unpublishable {
        /// The address on the host.
        place: HostPort,
        /// The cause.
        cause: io::Error,
        /// The process that has the address, as text. Empty if unknown.
        by: String,
    },
    /// An address of the host is forwarded to another port already.
    #[error("{place} is forwarded to port {port} already: remove that first (`port remove`), or choose another port")]
    PublishedOtherwise {
        /// The address on the host.
        place: HostPort,
        /// The port that it is forwarded to.
        port: u16,
    },
    /// The port to remove isn't published.
    #[error("cluster `{cluster}` doesn't publish {which}: {}", all_ports(.published))]
    NotPublished {
        /// The cluster.
        cluster: String,
        /// The port that was named.
        which: PortSelector,
        /// The published ports.
        published: Vec<String>,
    },
}

impl PortError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::PublishedOtherwise { .. } | Self::NotPublished { .. } => 2,
            Self::Unusable { .. } | Self::NoneFree { .. } | Self::Unpublishable { .. } => 1,
        }
    }
}

/// An error of binding an address, and the process that has it (empty if unknown), as text.
struct Reason<'a>(&'a io::Error, &'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind(), self.1) {
            (ErrorKind::AddrInUse, "") => f.write_str("another process has it; choose another port"),
            (ErrorKind::AddrInUse, by) => write!(f, "{by} has it; choose another port, or end that"),
            (ErrorKind::AddrNotAvailable, _) => f.write_str("this host has no such address"),
            _ => write!(f, "{}", self.0),
        }
    }
}

fn all_ports(ports: &[String]) -> String {
    if ports.is_empty() { "it publishes nothing".into() } else { format!("it publishes {}", ports.join(", ")) }
}
