//! The host's DNS resolvers, for use by a cluster.
//!
//! The sandbox reaches some of them directly. A forwarder in the sandbox serves the others, which
//! listen on the host's loopback.

use super::host_net::HostNet;
use super::plan::AddressPlan;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

const PORT: u16 = 53;
/// How long to wait for one resolver. glibc waits 5 s in all.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum size of a UDP message, in bytes: EDNS's limit.
const MAX_MESSAGE: usize = 64 * 1024;
/// Header lines of resolv.conf: the origin of the file, or the reason for the missing servers.
/// Without servers, look-ups fail at once instead of timing out.
const HEADER: &str = "# Made by KuberNix of what the host has.\n";
const NONE: &str = "# This cluster has no upstream resolver.\n";

/// The DNS servers of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// Servers that the sandbox reaches directly.
    pub direct: Vec<Ipv4Addr>,
    /// Servers that only the host reaches. Used if there are no direct ones.
    pub via_host: Vec<IpAddr>,
    /// The `search` and `options` lines of the host.
    pub lines: Vec<String>,
}

impl Resolver {
    /// Whether there is a server.
    pub fn exists(&self) -> bool {
        !self.direct.is_empty() || !self.via_host.is_empty()
    }

    /// The content of `/etc/resolv.conf` in the sandbox, with the forwarder at this address.
    pub fn resolv_conf(&self, forwarder: Ipv4Addr) -> String {
        if !self.exists() {
            return NONE.into();
        }
        let forwarder = self.direct.is_empty().then_some(forwarder);
        let servers = self.direct.iter().copied().chain(forwarder).map(|server| format!("nameserver {server}"));
        let lines: Vec<String> = servers.chain(self.lines.iter().cloned()).collect();
        format!("{HEADER}{}\n", lines.join("\n"))
    }
}

/// Reads the servers of a resolv.conf, for a cluster with these addresses.
pub(super) fn read(resolv_conf: &str, addresses: &AddressPlan) -> Resolver {
    let mut resolver = Resolver::default();
    for line in resolv_conf.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("nameserver"), Some(server)) => match server.split('%').next().unwrap_or(server).parse() {
                Ok(IpAddr::V4(ip)) if !ip.is_loopback() && !ip.is_unspecified() && !addresses.cidr.contains(&ip) => {
                    resolver.direct.push(ip);
                }
                Ok(ip) => resolver.via_host.push(ip),
                Err(_) => {}
            },
            (Some("search" | "domain" | "options"), Some(_)) => resolver.lines.push(line.trim().to_owned()),
            _ => {}
        }
    }
    if !resolver.direct.is_empty() {
        resolver.via_host.clear();
    }
    resolver
}

/// Answers queries at an address of the sandbox by asking the host's resolvers, until the runtime
/// stops.
///
/// # Errors
/// The address can't be bound.
pub async fn forward(at: Ipv4Addr, servers: Vec<IpAddr>, host: HostNet) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::bind((at, PORT)).await?);
    let streams = TcpListener::bind((at, PORT)).await?;
    let servers: Vec<SocketAddr> = servers.into_iter().map(|server| SocketAddr::new(server, PORT)).collect();
    if let Some(first) = servers.first().copied() {
        tokio::spawn(super::forward::run_from(streams, first, host.clone()));
    }
    tokio::spawn(async move {
        let mut query = vec![0; MAX_MESSAGE];
        loop {
            // An error is about a client that is gone.
            let Ok((length, client)) = socket.recv_from(&mut query).await else { continue };
            let (query, socket) = (query[..length].to_vec(), socket.clone());
            let (servers, host) = (servers.clone(), host.clone());
            tokio::spawn(async move {
                match ask(&query, &servers, &host).await {
                    Some(answer) => drop(socket.send_to(&answer, client).await),
                    None => log::debug!("no resolver of the host answers"),
                }
            });
        }
    });
    Ok(())
}

/// The first reply of a server.
async fn ask(query: &[u8], servers: &[SocketAddr], host: &HostNet) -> Option<Vec<u8>> {
    for server in servers {
        let asked = async {
            let socket = host.udp(*server)?;
            socket.send(query).await?;
            let mut answer = vec![0; MAX_MESSAGE];
            let length = socket.recv(&mut answer).await?;
            answer.truncate(length);
            io::Result::Ok(answer)
        };
        if let Ok(Ok(answer)) = timeout(QUERY_TIMEOUT, asked).await {
            return Some(answer);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Resolver {
        read(text, &AddressPlan::new("10.10.0.0/16".parse().unwrap()).unwrap())
    }

    fn conf(text: &str) -> String {
        let conf = of(text).resolv_conf(Ipv4Addr::new(10, 10, 192, 1));
        conf.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn servers_that_a_sandbox_reaches_are_passed_on_with_search_and_options() {
        let text = "# x\nsearch a.example b.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0\n";
        assert_eq!(conf(text), "nameserver 192.0.2.1|nameserver 192.0.2.2|search a.example b.example|options edns0");
        assert_eq!(conf("nameserver 127.0.0.53\nnameserver 192.0.2.1"), "nameserver 192.0.2.1");
    }

    #[test]
    fn servers_of_the_hosts_loopback_are_asked_by_the_host() {
        for server in ["127.0.0.53", "127.0.0.1", "::1", "0.0.0.0", "fe80::1%eth0", "10.10.3.4"] {
            let text = format!("nameserver {server}\nsearch lan");
            assert_eq!(conf(&text), "nameserver 10.10.192.1|search lan", "{server}");
            assert_eq!(of(&text).via_host.len(), 1, "{server}");
        }
    }

    #[test]
    fn where_there_is_none_look_ups_fail_at_once() {
        for text in ["", "search lan", "nameserver nonsense", "nameserver"] {
            assert!(!of(text).exists(), "{text}");
            assert_eq!(of(text).resolv_conf(Ipv4Addr::LOCALHOST), NONE, "{text}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_server_that_answers_is_believed() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dead = silent.local_addr().unwrap();
        drop(silent);
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let mut query = [0; 16];
            let (length, client) = server.recv_from(&mut query).await.unwrap();
            server.send_to(&[&query[..length], b"!"].concat(), client).await.unwrap();
        });
        // The test's own namespace: the thread enters the namespace that it is in.
        let Ok(host) = HostNet::of_thread() else { panic!("no /proc") };
        if host.udp(dead).is_err() {
            return; // Not root: setns(2) is refused even into one's own.
        }
        assert_eq!(ask(b"who", &[dead, address], &host).await.unwrap(), b"who!");
        assert_eq!(ask(b"who", &[], &host).await, None);
    }
}
