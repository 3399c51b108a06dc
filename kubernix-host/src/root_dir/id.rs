//! A cluster's ID, which is unique and doesn't depend on its name.

use crate::digits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::str::FromStr;

/// Random bytes of an ID.
const BYTES: usize = 8;
/// Digits of an ID.
const DIGITS: usize = 2 * BYTES;

/// A cluster's ID: 16 lower-case hexadecimal digits. Cgroups, netfilter tables and plans use it, so
/// that the cluster's name is only a label, which may change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(String);

/// A text that isn't a cluster's ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cluster's ID of {DIGITS} digits (0-9, a-f)")]
pub struct InvalidId(String);

impl ClusterId {
    /// A new random ID.
    ///
    /// # Errors
    /// The system provides no random numbers.
    pub fn random() -> io::Result<Self> {
        Ok(Self(digits::hex(&digits::random::<BYTES>()?)))
    }

    /// The placeholder in plans of a cluster that doesn't exist yet.
    pub fn unknown() -> Self {
        Self("0".repeat(DIGITS))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClusterId {
    fn default() -> Self {
        Self::unknown()
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ClusterId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if text.len() == DIGITS && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ClusterId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_and_other_texts_are_rejected() {
        let (one, other) = (ClusterId::random().unwrap(), ClusterId::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().parse::<ClusterId>().unwrap(), one);
        assert_eq!(serde_json::from_str::<ClusterId>(&format!("\"{one}\"")).unwrap(), one);
        for text in [
            "",
            "..",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "0123456789abcdeg",
            "../456789abcdef",
        ] {
            assert!(text.parse::<ClusterId>().is_err(), "{text}");
            assert!(serde_json::from_str::<ClusterId>(&format!("\"{text}\"")).is_err(), "{text}");
        }
    }
}
