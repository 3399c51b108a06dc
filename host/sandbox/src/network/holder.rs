//! Finds the process that occupies a port, as far as this user may see it.

use super::publish::{HostPort, Protocol};
use crate::proc_stat::{self, Stat};
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A process that occupies a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its PID.
    pub pid: i32,
    /// Its command name: `/proc/PID/comm`.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.command, self.pid)
    }
}

/// The oldest process whose socket conflicts with a port, in the network namespace of the calling
/// thread: a child inherits its parent's sockets. `None` if there is none or it can't be seen: only
/// root sees the sockets of other users.
pub fn of(host_port: HostPort) -> Option<Holder> {
    let tables = match host_port.protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    let read = |table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    let sockets: Vec<String> = tables.iter().flat_map(|table| conflicting(&read(table), host_port)).collect();
    let holders = proc_stat::numbers("/proc").filter(|pid| has_one(*pid, &sockets));
    let pid = holders.min_by_key(|pid| Stat::of(*pid).map_or(u64::MAX, |stat| stat.started))?;
    Some(Holder { pid, command: proc_stat::name(pid)? })
}

fn has_one(pid: i32, sockets: &[String]) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|fd| fs::read_link(fd.path()).ok())
        .any(|target| sockets.iter().any(|one| target.as_os_str() == &**one))
}

/// The sockets of a table such as `/proc/net/tcp` that conflict with a port, in the form of the
/// links in `/proc/PID/fd`.
fn conflicting(table: &str, host_port: HostPort) -> Vec<String> {
    table.lines().skip(1).filter_map(|line| conflicting_socket(line, host_port)).collect()
}

fn conflicting_socket(line: &str, host_port: HostPort) -> Option<String> {
    /// The state of a listening TCP socket.
    const LISTENS: &str = "0A";
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = address(fields.get(1)?)?;
    let is_bound = host_port.protocol == Protocol::Udp || *fields.get(3)? == LISTENS;
    (is_bound && overlap(local, host_port.address)).then(|| Some(format!("socket:[{}]", fields.get(9)?)))?
}

/// Parses `0100007F:1F90`: an address in groups of four bytes, each in host byte order, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let groups: Option<Vec<[u8; 4]>> = ip
        .as_bytes()
        .chunks(8)
        .map(|group| u32::from_str_radix(std::str::from_utf8(group).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect();
    let groups = groups?;
    let ip = match groups[..] {
        [v4] => IpAddr::V4(Ipv4Addr::from(v4)),
        [_, _, _, _] => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(groups.concat()).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Whether only one of two sockets can be bound.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (a == b || a.is_unspecified() || b.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Published;
    use std::net::{TcpListener, UdpSocket};

    fn host_port(text: &str) -> HostPort {
        text.parse::<Published>().unwrap().host_port
    }

    #[test]
    fn conflicting_sockets_are_read_from_the_kernels_tables() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0\n\
            \x20  1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0\n\
            \x20  2: 0100007F:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0\n\
            nonsense\n";
        let found = |text: &str| conflicting(tcp, host_port(text)).join(" ");
        if cfg!(target_endian = "big") {
            return;
        }
        assert_eq!(found("8080:1"), "socket:[11]");
        assert_eq!(found("0.0.0.0:8080:1"), "socket:[11]");
        assert_eq!(found("[::]:8080:1"), "socket:[11]");
        assert_eq!(found("127.0.0.2:8080:1"), "");
        assert_eq!(found("127.0.0.2:80:1"), "socket:[12]");
        assert_eq!(found("8081:1"), "", "an established connection doesn't conflict");
        let udp6 = "head\n 0: 00000000000000000000000001000000:0035 0:0 07 0 0 0 0 0 14 2\n\
            1: 0000000000000000FFFF00000100007F:0036 0:0 07 0 0 0 0 0 15 2\n";
        assert_eq!(conflicting(udp6, host_port("[::1]:53:1/udp")), ["socket:[14]"]);
        assert_eq!(conflicting(udp6, host_port("54:1/udp")), ["socket:[15]"], "an IPv4-mapped IPv6 address");
    }

    #[test]
    fn the_holder_of_our_own_port_is_this_process() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = std::process::id().cast_signed();
        let port = tcp.local_addr().unwrap().port();
        let holder = of(host_port(&format!("{port}:1"))).unwrap();
        assert_eq!(holder.pid, own);
        assert_eq!(holder.to_string(), format!("{} (process {own})", holder.command));
        let port = udp.local_addr().unwrap().port();
        assert_eq!(of(host_port(&format!("0.0.0.0:{port}:1/udp"))).unwrap().pid, own);
    }
}
