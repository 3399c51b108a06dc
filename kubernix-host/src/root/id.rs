//! A cluster's ID: what tells it from every other cluster, whatever either is called.

use crate::digits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::str::FromStr;

/// Random bytes of an ID.
const BYTES: usize = 8;
/// Digits of an ID.
const DIGITS: usize = 2 * BYTES;

/// A cluster's ID: 16 lower-case hexadecimal digits. Cgroups, tables and plans are named by it, so that the cluster's name is a
/// label that may change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(String);

impl ClusterId {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> io::Result<Self> {
        Ok(Self(digits::hex(&digits::random::<BYTES>()?)))
    }

    /// Stands in plans for the ID of a cluster that doesn't exist yet.
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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        match text.len() == DIGITS && text.bytes().all(is_digit) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("`{text}` is not a cluster's ID of {DIGITS} digits (0-9, a-f)")),
        }
    }
}

impl TryFrom<String> for ClusterId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
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
    fn ids_are_random_and_nothing_else_is_read_as_one() {
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
