//! Hexadecimal digits, hashes and random bytes. Must not know what they are used for.

pub(crate) use crate::text::digits::{hex, sha256};

use std::io;

/// Random bytes that are suitable for keys.
///
/// # Errors
/// The system's random number generator failed.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| io::Error::other("the system's random number generator failed"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
