//! Random bytes, and bytes as digits. Knows nothing of what they name.

pub(crate) use crate::text::digits::{hex, sha256};

use std::io;

/// Random bytes that are fit for keys.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| io::Error::other("the system's source of random numbers failed"))?;
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
