//! Downloads a plugin from an address that the user gives: over HTTPS with the authorities that
//! this machine trusts, or with a hash that says what it has to be.
//!
//! This module must not know what is downloaded. Nothing of a cluster goes through here.

use http::Uri;
use kubernix_toolchain::text::digits::sha256;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How much is downloaded at most, in bytes.
const MAX_SIZE: u64 = 128 << 20;
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a download may take.
const DOWNLOAD: Duration = Duration::from_secs(600);
/// How often an address may lead to another one.
const REDIRECTS: u32 = 10;

/// The part of an address that holds a hash.
const FRAGMENT: &str = "sha256=";

/// Why nothing was downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none that anything is downloaded from.
    #[error("`{address}` is no address to download from: {reason}")]
    Address {
        /// The address.
        address: String,
        /// Why, and the way out.
        reason: String,
    },
    /// The machine has no trusted certificate authority.
    #[error("no certificates of authorities are found on this machine: install ca-certificates ({0})")]
    NoAuthorities(String),
    /// The download failed.
    #[error("can't download `{address}`: {cause}")]
    Download {
        /// The address.
        address: String,
        /// Why.
        cause: Box<ureq::Error>,
    },
    /// The server answers with something else.
    #[error("can't download `{address}`: the server answers {status}")]
    Status {
        /// The address.
        address: String,
        /// The status.
        status: http::StatusCode,
    },
    /// It is too large.
    #[error("can't download `{address}`: it is larger than {} MiB", limit >> 20)]
    TooLarge {
        /// The address.
        address: String,
        /// How large it may be.
        limit: u64,
    },
    /// It isn't what it should be.
    #[error("`{address}` isn't what was expected: its sha256 is {found}, not {wanted}")]
    Hash {
        /// The address.
        address: String,
        /// Its hash.
        found: String,
        /// What was wanted.
        wanted: String,
    },
}

/// An address to download from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Without the fragment.
    url: String,
    /// What it has to be, in hexadecimal.
    sha256: Option<String>,
    /// How it may be got.
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Encrypted all the way.
    Https,
    /// In the clear, from this machine alone.
    Loopback,
    /// Any way at all: the hash decides.
    Hashed,
}

impl Address {
    /// Reads an address; `None` where the text isn't one, but a path.
    ///
    /// # Errors
    /// It is an address that nothing is downloaded from.
    pub fn parse(text: &str) -> Result<Option<Self>, FetchError> {
        let Some((scheme, _)) = text.split_once("://") else { return Ok(None) };
        let refuse = |reason: &str| FetchError::Address { address: text.to_owned(), reason: reason.to_owned() };
        let (url, fragment) = text.split_once('#').map_or((text, None), |(url, fragment)| (url, Some(fragment)));
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| refuse(&error.to_string()))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refuse(
                "it would be written down with its password: download it by other means, and install the file",
            ));
        }
        let sha256 = match fragment.map(|fragment| fragment.strip_prefix(FRAGMENT).unwrap_or("")) {
            None => None,
            Some(hash) if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Some(hash.to_ascii_lowercase())
            }
            Some(_) => return Err(refuse("what follows # has to be sha256= and 64 hexadecimal digits")),
        };
        let way = match scheme.to_ascii_lowercase().as_str() {
            "https" => Way::Https,
            "http" if sha256.is_some() => Way::Hashed,
            "http" if uri.host().is_some_and(is_loopback) => Way::Loopback,
            "http" => {
                return Err(refuse(
                    "without encryption, others on the network could change it: use https, or append #sha256=...",
                ));
            }
            _ => return Err(refuse("only https and http are known")),
        };
        Ok(Some(Self { url: url.to_owned(), sha256, way }))
    }

    /// Whether it names a file of this extension.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.file_name().rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// The last part of its path.
    pub fn file_name(&self) -> &str {
        let path = self.url.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Downloads it.
    ///
    /// # Errors
    /// It can't be had, is too large, or isn't what it should be.
    pub fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.fetch_within(MAX_SIZE, authorities)
    }

    fn fetch_within(
        &self,
        limit: u64,
        authorities: fn() -> Result<RootCerts, FetchError>,
    ) -> Result<Vec<u8>, FetchError> {
        let failed = |cause| match cause {
            ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge { address: self.url.clone(), limit },
            cause => FetchError::Download { address: self.url.clone(), cause: Box::new(cause) },
        };
        let mut config = ureq::Agent::config_builder()
            .user_agent(concat!("kubernix/", env!("CARGO_PKG_VERSION")))
            .https_only(self.way == Way::Https)
            // What is trusted for being this machine's own mustn't lead elsewhere.
            .max_redirects(if self.way == Way::Loopback { 0 } else { REDIRECTS })
            .max_redirects_will_error(true)
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_global(Some(DOWNLOAD));
        if self.way == Way::Loopback {
            config = config.proxy(None);
        } else {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = TlsConfig::builder().root_certs(authorities()?).unversioned_rustls_crypto_provider(provider);
            config = config.tls_config(tls.build());
        }
        let agent = ureq::Agent::new_with_config(config.build());
        let mut response = agent.get(&self.url).call().map_err(failed)?;
        if !response.status().is_success() {
            return Err(FetchError::Status { address: self.url.clone(), status: response.status() });
        }
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        let found = sha256(&body);
        match &self.sha256 {
            Some(wanted) if *wanted != found => {
                Err(FetchError::Hash { address: self.url.clone(), found, wanted: wanted.clone() })
            }
            _ => Ok(body),
        }
    }
}

/// The authorities that this machine trusts.
fn authorities() -> Result<RootCerts, FetchError> {
    let native = rustls_native_certs::load_native_certs();
    if native.certs.is_empty() {
        let errors: Vec<String> = native.errors.iter().map(ToString::to_string).collect();
        return Err(FetchError::NoAuthorities(errors.join("; ")));
    }
    let certificates: Vec<_> = native.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    Ok(RootCerts::new_with_certs(&certificates))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Mutex;

    /// Serves this response to each request; returns the address, as `http://127.0.0.1:PORT`.
    pub fn serve(head: &str, body: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap() == 0 {
                        break;
                    }
                    request.push(byte[0]);
                }
                // A client that has read enough goes away.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        address
    }

    /// Serves HTTPS as `localhost` to one client after the other; returns where, and its
    /// certificate.
    fn serve_tls(answer: String) -> (String, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
                // A client that doesn't trust the certificate goes away.
                let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer.as_bytes()));
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        (address, certificate.to_vec())
    }

    /// A machine without trusted certificate authorities.
    fn no_authorities() -> Result<RootCerts, FetchError> {
        Err(FetchError::NoAuthorities(String::new()))
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|e| panic!("{e}")).unwrap()
    }

    #[test]
    fn addresses_are_safe_or_hashed_or_refused() {
        let hash = "0123456789abcdef".repeat(4);
        for (text, way) in [
            ("https://example.org/x.tar.gz".to_owned(), Way::Https),
            ("http://localhost:8000/x.toml".to_owned(), Way::Loopback),
            ("http://127.3.2.1/x.toml".to_owned(), Way::Loopback),
            ("http://[::1]:80/x.toml".to_owned(), Way::Loopback),
            (format!("http://example.org/x.tar#sha256={}", hash.to_uppercase()), Way::Hashed),
        ] {
            assert_eq!(address(&text).way, way, "{text}");
        }
        let hashed = address(&format!("https://example.org/a/x.toml?raw=1/2#sha256={hash}"));
        assert_eq!(
            (hashed.url.as_str(), hashed.sha256.as_deref()),
            ("https://example.org/a/x.toml?raw=1/2", Some(&*hash))
        );
        assert!(hashed.has_extension("toml") && hashed.file_name() == "x.toml");
        assert_eq!(Address::parse("/path/x.so").unwrap(), None);
        for (text, part) in [
            ("http://example.org/x.tar", "use https, or append #sha256="),
            ("http://localhost.example.org/x", "use https"),
            ("ftp://example.org/x", "only https and http"),
            ("https://me:secret@example.org/x", "written down with its password"),
            ("https://example.org/x#sha256=abc", "64 hexadecimal digits"),
            ("https://example.org/x#readme", "has to be sha256="),
            ("https://exa mple.org/x", "is no address"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_download_is_held_against_its_hash() {
        let at = serve("200 OK", b"plugin".to_vec());
        assert_eq!(address(&at).fetch().unwrap(), b"plugin");
        let right = sha256(b"plugin");
        assert_eq!(address(&format!("{at}/#sha256={right}")).fetch().unwrap(), b"plugin");
        let wrong = sha256(b"other");
        let error = address(&format!("{at}/#sha256={wrong}")).fetch().unwrap_err();
        assert_eq!(error.to_string(), format!("`{at}/` isn't what was expected: its sha256 is {right}, not {wrong}"));
    }

    #[test]
    fn https_is_trusted_by_its_authority_alone_and_never_leads_to_http() {
        static TRUSTED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
        let trusted = || {
            let all = TRUSTED.lock().unwrap();
            Ok(RootCerts::new_with_certs(
                &all.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>(),
            ))
        };
        let (at, certificate) = serve_tls("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nplugin".into());
        let plain = serve("200 OK", b"plugin".to_vec());
        let moved = format!("HTTP/1.1 302 Found\r\nLocation: {plain}/x\r\nContent-Length: 0\r\n\r\n");
        let (away, other) = serve_tls(moved);
        let error = address(&at).fetch_within(MAX_SIZE, trusted).unwrap_err().to_string();
        assert!(error.to_lowercase().contains("certificate"), "{error}");
        TRUSTED.lock().unwrap().extend([certificate, other]);
        assert_eq!(address(&at).fetch_within(MAX_SIZE, trusted).unwrap(), b"plugin");
        let error = address(&away).fetch_within(MAX_SIZE, trusted).unwrap_err().to_string();
        assert!(error.contains("https"), "{error}");
        assert!(matches!(address(&at).fetch_within(MAX_SIZE, no_authorities), Err(FetchError::NoAuthorities(_))));
    }

    #[test]
    fn what_cant_or_mustnt_be_had_is_told() {
        let big = serve("200 OK", vec![0; 4096]);
        assert!(matches!(address(&big).fetch_within(1024, no_authorities), Err(FetchError::TooLarge { .. })));
        let missing = address(&serve("404 Not Found", Vec::new())).fetch().unwrap_err().to_string();
        assert!(missing.contains("404"), "{missing}");
        let away = serve("302 Found\r\nLocation: http://example.org/", Vec::new());
        assert!(matches!(address(&away).fetch(), Err(FetchError::Status { .. })), "it must not lead elsewhere");
        // Nothing listens on a port that was just closed.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(address(&format!("http://{closed}/")).fetch(), Err(FetchError::Download { .. })));
    }
}
