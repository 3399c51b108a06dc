//! The kinds of keys that a cluster's data depends on, and the cluster's history, which decides
//! whether a new key loses data.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A kind of key that existing data depends on. `up --renew` creates a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Renewal {
    /// The key in `encryption.yaml`, which encrypts Secrets in the datastore.
    Encryption,
    /// The key pair that signs the tokens of service accounts.
    ServiceAccount,
    /// The three CAs, and with them all certificates.
    Ca,
}

impl Renewal {
    const ALL: [Self; 3] = [Self::Encryption, Self::ServiceAccount, Self::Ca];

    fn word(self) -> &'static str {
        match self {
            Self::Encryption => "encryption",
            Self::ServiceAccount => "service-account",
            Self::Ca => "ca",
        }
    }

    /// The reason for a new key that the user requested, for the report.
    pub(super) fn asked(self) -> String {
        let next = match self {
            // The API server doesn't become ready before it can read all Secrets.
            Self::Encryption => {
                "; the API server doesn't start while Secrets of the old key exist, docs/state.md has the steps"
            }
            Self::ServiceAccount | Self::Ca => "",
        };
        format!("`--renew {self}` was given{next}")
    }

    /// What is lost with a new key, as the end of a sentence.
    pub(super) fn loss(self) -> &'static str {
        match self {
            Self::Encryption => "all Secrets that were stored with the old key are lost and must be removed",
            Self::ServiceAccount => "all tokens of service accounts become invalid",
            Self::Ca => "all existing kubeconfigs and certificates become invalid",
        }
    }
}

/// A text that isn't a kind of key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `encryption`, `service-account` and `ca`")]
pub struct UnknownRenewal(String);

impl FromStr for Renewal {
    type Err = UnknownRenewal;

    fn from_str(text: &str) -> Result<Self, UnknownRenewal> {
        let found = Self::ALL.into_iter().find(|renewal| renewal.word() == text);
        found.ok_or_else(|| UnknownRenewal(text.to_owned()))
    }
}

impl fmt::Display for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The state of a cluster before this boot. The default is a new cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// It was booted before. Every new key is reported.
    pub booted: bool,
    /// Its datastore has content that depends on the existing keys.
    pub has_data: bool,
    /// The names of its nodes.
    pub nodes: BTreeSet<String>,
}
