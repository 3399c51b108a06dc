//! Downloads a plugin from an address that the user gives: over HTTPS with the authorities that
//! this machine trusts, or checked by a hash in the address.
//!
//! This module must not know what is downloaded. Clusters don't use it.

use http::Uri;
use kubernix_toolchain::text::digits::sha256;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The largest download, in bytes.
const MAX_SIZE: u64 = 128 << 20;
/// How long a server may take to respond.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// How many redirects are followed.
const MAX_REDIRECTS: u32 = 10;

/// The part of an address that holds a hash.
const FRAGMENT: &str = "sha256=";

/// Why nothing was downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address isn't valid or isn't safe.
    #[error("can't download from `{address}`: {reason}")]
    Address {
        /// The address.
        address: String,
        /// The reason, and the way out.
        reason: String,
    },
    /// The machine has no certificates of authorities.
    #[error("this machine has no certificates of authorities: install ca-certificates ({0})")]
    NoAuthorities(String),
    /// The download failed.
    #[error("can't download `{address}`: {cause}")]
    Download {
        /// The address.
        address: String,
        /// The cause.
        cause: Box<ureq::Error>,
    },
    /// The server responds with an error.
    #[error("can't download `{address}`: the server responds with {status}")]
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
        /// The largest size.
        limit: u64,
    },
    /// Its hash differs from that in the address.
    #[error("`{address}` has the sha256 {found}, not {wanted} as expected")]
    Hash {
        /// The address.
        address: String,
        /// Its hash.
        found: String,
        /// The hash in the address.
        wanted: String,
    },
}

/// An address to download from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Without the fragment.
    url: String,
    /// The expected hash, in hexadecimal.
    sha256: Option<String>,
    /// How it is downloaded.
    transport: Transport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// Encrypted.
    Https,
    /// In the clear, only from this machine.
    Loopback,
    /// In the clear, checked by the hash.
    Hashed,
}

impl Address {
    /// Parses an address. `None` if the text is a path.
    ///
    /// # Errors
    /// The address isn't valid or isn't safe.
    pub fn parse(text: &str) -> Result<Option<Self>, FetchError> {
        let Some((scheme, _)) = text.split_once("://") else { return Ok(None) };
        let rejected = |reason: &str| FetchError::Address { address: text.to_owned(), reason: reason.to_owned() };
        let (url, fragment) = text.split_once('#').map_or((text, None), |(url, fragment)| (url, Some(fragment)));
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| rejected(&error.to_string()))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(rejected(
                "its password would be saved with the plugin: download the file yourself, and install it",
            ));
        }
        let sha256 = match fragment.map(|fragment| fragment.strip_prefix(FRAGMENT).unwrap_or("")) {
            None => None,
            Some(hash) if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Some(hash.to_ascii_lowercase())
            }
            Some(_) => return Err(rejected("the text after # must be sha256= and 64 hexadecimal digits")),
        };
        let transport = match scheme.to_ascii_lowercase().as_str() {
            "https" => Transport::Https,
            "http" if sha256.is_some() => Transport::Hashed,
            "http" if uri.host().is_some_and(is_loopback) => Transport::Loopback,
            "http" => {
                return Err(rejected("the download could be changed on its way: use https, or append #sha256=..."));
            }
            _ => return Err(rejected("only https and http are supported")),
        };
        Ok(Some(Self { url: url.to_owned(), sha256, transport }))
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
    /// The download fails, is too large, or has another hash.
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
            .https_only(self.transport == Transport::Https)
            // A server of this machine is trusted. It must not redirect to another machine.
            .max_redirects(if self.transport == Transport::Loopback { 0 } else { MAX_REDIRECTS })
            .max_redirects_will_error(true)
            .timeout_connect(Some(RESPONSE_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_global(Some(DOWNLOAD_TIMEOUT));
        if self.transport == Transport::Loopback {
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
#[path = "fetch_tests.rs"]
pub(super) mod tests;
