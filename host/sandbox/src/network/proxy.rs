//! HTTP proxies for image pulls.
//!
//! Proxies of the caller's environment that listen on the host's loopback are forwarded into the
//! sandbox. A cluster without access to other networks gets a proxy that rejects every request with
//! the reason.

use super::host_net::HostNet;
use super::plan::AddressPlan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The variables that name a proxy.
const PROXIES: [&str; 2] = ["HTTP_PROXY", "HTTPS_PROXY"];
/// The variable that lists addresses to reach directly.
const EXCEPTIONS: &str = "NO_PROXY";
/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of a request, in bytes.
const MAX_REQUEST: usize = 16 * 1024;

/// Proxies by variable name in upper case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proxies(BTreeMap<String, String>);

/// The proxies in an environment. The lower-case variable takes precedence, as in curl.
pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Proxies {
    let names = PROXIES.into_iter().chain([EXCEPTIONS]);
    let found = names.filter_map(|name| {
        let value = variable(&name.to_lowercase()).filter(|value| !value.is_empty()).or_else(|| variable(name))?;
        (!value.is_empty()).then(|| (name.to_owned(), value))
    });
    Proxies(found.collect())
}

impl Proxies {
    /// Whether a proxy is set.
    pub fn exist(&self) -> bool {
        PROXIES.iter().any(|name| self.0.contains_key(*name))
    }
}

/// The proxy variables of a cluster's processes.
pub struct ProxyVars {
    variables: BTreeMap<String, String>,
}

impl ProxyVars {
    /// The variables in upper and lower case.
    pub fn variables(self) -> BTreeMap<String, String> {
        let lower = self.variables.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
        let lower: Vec<_> = lower.collect();
        self.variables.into_iter().chain(lower).collect()
    }

    /// No variables: everything is reached directly.
    pub fn none() -> Self {
        Self { variables: BTreeMap::new() }
    }
}

/// Forwards proxies on the host's loopback from an address of the sandbox. Returns the variables
/// for the cluster's processes.
///
/// # Errors
/// The address can't be bound.
pub async fn forward(
    proxies: &Proxies,
    at: Ipv4Addr,
    addresses: &AddressPlan,
    host: &HostNet,
) -> io::Result<ProxyVars> {
    let mut result = ProxyVars::none();
    if !proxies.exist() {
        return Ok(result);
    }
    let mut forwarded = BTreeMap::<SocketAddr, SocketAddr>::new();
    for name in PROXIES {
        let Some(proxy) = proxies.0.get(name) else { continue };
        let mut value = proxy.clone();
        if let Some((range, target)) = on_loopback(proxy) {
            let address = match forwarded.get(&target) {
                Some(address) => *address,
                None => {
                    let listener = TcpListener::bind((at, 0)).await?;
                    let address = listener.local_addr()?;
                    tokio::spawn(super::forward::run_from(listener, target, host.clone()));
                    forwarded.insert(target, address);
                    address
                }
            };
            value.replace_range(range, &address.to_string());
        }
        result.variables.insert(name.to_owned(), value);
    }
    let given = proxies.0.get(EXCEPTIONS).map(String::as_str).unwrap_or_default();
    result.variables.insert(EXCEPTIONS.to_owned(), exceptions(given, addresses));
    Ok(result)
}

/// Starts a proxy at an address of the sandbox that rejects every request with this reason. Go's
/// HTTP client includes the reason in its error.
///
/// # Errors
/// The address can't be bound.
pub async fn reject_all(reason: &'static str, at: Ipv4Addr, addresses: &AddressPlan) -> io::Result<ProxyVars> {
    let listener = TcpListener::bind((at, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((client, _)) => drop(tokio::spawn(reject(client, reason))),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    let mut variables: BTreeMap<_, _> = PROXIES.map(|name| (name.to_owned(), url.clone())).into();
    variables.insert(EXCEPTIONS.to_owned(), exceptions("", addresses));
    Ok(ProxyVars { variables })
}

/// Reads the head of a request.
async fn read_request(client: &mut TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    while request.len() < MAX_REQUEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Rejects one request. The client may expect to send it whole, so it is read first.
async fn reject(mut client: TcpStream, reason: &str) -> io::Result<()> {
    let _ = tokio::time::timeout(REQUEST_TIMEOUT, read_request(&mut client)).await;
    let length = reason.len() + 1;
    let head = format!("HTTP/1.1 503 {reason}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n");
    client.write_all(format!("{head}Connection: close\r\n\r\n{reason}\n").as_bytes()).await?;
    client.shutdown().await
}

/// The value of `NO_PROXY`: the given addresses and those of the cluster.
fn exceptions(given: &str, addresses: &AddressPlan) -> String {
    let own = [&addresses.cidr.to_string(), ".svc", ".cluster.local", "localhost", "127.0.0.1"].map(String::from);
    let given = given.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned);
    given.chain(own).collect::<Vec<_>>().join(",")
}

/// The range of the address in a proxy's URL, and the parsed address, if it is a loopback address.
fn on_loopback(url: &str) -> Option<(std::ops::Range<usize>, SocketAddr)> {
    let (scheme, start) = url.split_once("://").map_or(("http", 0), |(scheme, _)| (scheme, scheme.len() + 3));
    let default_port = match scheme {
        "https" => 443,
        _ if scheme.starts_with("socks5") => 1080,
        _ => 80,
    };
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    let start = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    let authority = &url[start..end];
    // An IPv6 address is in brackets and contains colons.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, default_port),
    };
    let ip = match host.trim_matches(['[', ']']) {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        other => other.parse().ok()?,
    };
    ip.is_loopback().then(|| (start..end, SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> AddressPlan {
        AddressPlan::new("10.10.0.0/16".parse().unwrap()).unwrap()
    }

    #[test]
    fn lower_case_variables_take_precedence_and_empty_ones_are_ignored() {
        let of = |set: &[(&str, &str)]| {
            let set: BTreeMap<String, String> = set.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            of_environment(|name| set.get(name).cloned())
        };
        assert!(!of(&[("HTTP_PROXY", ""), ("NO_PROXY", "x")]).exist());
        let both = of(&[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:1"), ("http_proxy", "")]);
        assert_eq!(both.0, BTreeMap::from([("HTTPS_PROXY".into(), "http://b:1".into())]));
        assert!(both.exist());
    }

    #[test]
    fn proxies_on_the_hosts_loopback_are_recognised() {
        let on = |url: &str| on_loopback(url).map(|(range, target)| (url[range].to_owned(), target.to_string()));
        let is = |text: &str, target: &str| Some((text.to_owned(), target.to_owned()));
        assert_eq!(on("http://127.0.0.1:3128"), is("127.0.0.1:3128", "127.0.0.1:3128"));
        assert_eq!(on("http://me:p@ss@localhost:3128/"), is("localhost:3128", "127.0.0.1:3128"));
        assert_eq!(on("127.0.0.1"), is("127.0.0.1", "127.0.0.1:80"));
        assert_eq!(on("socks5://[::1]"), is("[::1]", "[::1]:1080"));
        assert_eq!(on("http://proxy.example:3128"), None);
        assert_eq!(on("http://192.0.2.1:3128"), None);
        assert_eq!(on("http://127.0.0.1:port"), None);
    }

    #[test]
    fn the_clusters_own_addresses_need_no_proxy() {
        let own = "10.10.0.0/16,.svc,.cluster.local,localhost,127.0.0.1";
        assert_eq!(exceptions("", &plan()), own);
        assert_eq!(exceptions(" a.example, ,b", &plan()), format!("a.example,b,{own}"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_rejecting_proxy_gives_its_reason_in_the_status_line() {
        let vars = reject_all("there is no network", Ipv4Addr::LOCALHOST, &plan()).await.unwrap().variables();
        assert_eq!(vars["https_proxy"], vars["HTTP_PROXY"]);
        let address = vars["HTTPS_PROXY"].trim_start_matches("http://").to_owned();
        for request in ["CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n\r\n", "GET"] {
            let mut client = TcpStream::connect(&address).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 there is no network\r\n"), "{answer}");
        }
    }
}
