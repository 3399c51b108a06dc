//! The ports of a cluster on the host: the API server's, and the local registry's.

use super::HostError;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// Ports that are tried for the API server, the first that is free wins.
pub(super) const PORTS: RangeInclusive<u16> = 6443..=7442;
/// Those for the local registry.
pub(super) const REGISTRY: RangeInclusive<u16> = 5000..=5999;

/// Listens on 127.0.0.1: at the port that was asked for; else at the one this cluster had last; else at the first free one.
pub(super) fn listen(
    asked: Option<u16>,
    last: Option<u16>,
    range: RangeInclusive<u16>,
) -> Result<TcpListener, HostError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = asked {
        return bind(port).map_err(|source| HostError::Port { port, source });
    }
    let (first, end) = (*range.start(), *range.end());
    for port in last.into_iter().chain(range) {
        match bind(port) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            result => return result.map_err(|source| HostError::Port { port, source }),
        }
    }
    Err(HostError::NoPort { first, last: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_port_and_an_exhausted_range() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen(None, None, port..=port).unwrap_err();
        assert!(matches!(error, HostError::NoPort { first, last } if first == port && last == port), "{error}");
        let error = listen(Some(port), None, PORTS).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} of 127.0.0.1 can't be used")), "{error}");
        drop(taken);
        assert_eq!(listen(None, None, port..=port).unwrap().local_addr().unwrap().port(), port);
    }
}
