//! The ports of a cluster on the host: the API server's, and the local registry's.

use super::PortError;
use super::ports::describe_holder;
use crate::network::publish::{HostPort, Protocol};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// The ports that are tried for one purpose.
pub(super) struct PortRange {
    /// The flag that selects a port.
    flag: &'static str,
    /// The ports to try if none was selected. The first free one is used.
    pub(super) range: RangeInclusive<u16>,
}

/// Ports of the API server.
pub(super) const API: PortRange = PortRange { flag: "--port", range: 6443..=7442 };
/// Ports of the local registry.
pub(super) const REGISTRY: PortRange = PortRange { flag: "--registry-port", range: 5000..=5999 };

/// The API server's URL on this host.
pub(super) fn api_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

/// Listens on 127.0.0.1: on the port `selected`; without one on the port of the last boot if it is
/// free, or else on the first free port of the range.
pub(super) fn listen(selected: Option<u16>, last: Option<u16>, ports: &PortRange) -> Result<TcpListener, PortError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let refused = |port, source: io::Error| {
        let place = HostPort { address: (Ipv4Addr::LOCALHOST, port).into(), protocol: Protocol::Tcp };
        let cause = match describe_holder(place) {
            by if source.kind() == ErrorKind::AddrInUse && !by.is_empty() => format!("{by} has it"),
            _ => source.to_string(),
        };
        PortError::Unusable { port, cause, flag: ports.flag }
    };
    if let Some(port) = selected {
        return bind(port).map_err(|source| refused(port, source));
    }
    for port in last.into_iter().chain(ports.range.clone()) {
        match bind(port) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            result => return result.map_err(|source| refused(port, source)),
        }
    }
    Err(PortError::NoneFree { first: *ports.range.start(), last: *ports.range.end(), flag: ports.flag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_port_and_an_exhausted_range() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let only = PortRange { flag: "--port", range: port..=port };
        let error = listen(None, None, &only).unwrap_err();
        assert!(matches!(error, PortError::NoneFree { first, last, .. } if first == port && last == port), "{error}");
        let error = listen(Some(port), None, &REGISTRY).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} of 127.0.0.1 can't be used: ")), "{error}");
        assert!(
            error.contains(&format!("(process {}) has it; choose another --registry-port", std::process::id())),
            "{error}"
        );
        drop(taken);
        assert_eq!(listen(None, None, &only).unwrap().local_addr().unwrap().port(), port);
    }
}
