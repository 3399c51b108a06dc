//! Checked addresses.

use crate::{Error, Result};
use std::fmt;

/// The longest path that a unix socket may have, in bytes: `sun_path` less its closing NUL
/// (unix(7)).
pub const MAX_SOCKET_PATH: usize = 107;

/// A unix socket with a valid path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket(String);

impl UnixSocket {
    /// The socket at this absolute path.
    ///
    /// # Errors
    /// The path is relative or longer than [`MAX_SOCKET_PATH`] bytes.
    pub fn new(path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        if !path.starts_with('/') {
            return Err(Error::invalid(format!("socket path `{path}` is not absolute")));
        }
        if path.len() > MAX_SOCKET_PATH {
            return Err(Error::invalid(format!(
                "socket path `{path}` has {} bytes, the kernel allows {MAX_SOCKET_PATH}: use a shorter --root or --name",
                path.len()
            )));
        }
        Ok(Self(path))
    }

    /// The socket of an endpoint in `unix://PATH` form.
    ///
    /// # Errors
    /// Another scheme, or a path that [`UnixSocket::new`] rejects.
    pub fn from_url(url: &str) -> Result<Self> {
        let path = url.strip_prefix("unix://");
        path.map_or_else(|| Err(Error::invalid(format!("`{url}` is not a unix:// endpoint"))), Self::new)
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// The endpoint in `unix://PATH` form.
    pub fn url(&self) -> String {
        format!("unix://{}", self.0)
    }
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_107th_byte_fits_and_the_108th_does_not() {
        let longest = format!("/{}", "a".repeat(106));
        assert_eq!(UnixSocket::new(&longest).unwrap().url(), format!("unix://{longest}"));
        let error = UnixSocket::new(format!("{longest}a")).unwrap_err().to_string();
        assert!(error.contains("has 108 bytes, the kernel allows 107"), "{error}");
    }

    #[test]
    fn urls_are_checked() {
        assert_eq!(UnixSocket::from_url("unix:///run/a.sock").unwrap().path(), "/run/a.sock");
        assert!(UnixSocket::from_url("tcp://1.2.3.4").is_err());
        assert!(UnixSocket::from_url("unix://a.sock").is_err());
    }
}
