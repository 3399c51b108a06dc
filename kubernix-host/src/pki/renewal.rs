//! Which keys can be lost with a cluster's data, and when a new one may be made.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A kind of key that existing data depends on. `up --renew` makes a new one.
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

    /// Why a key is made anew although data depends on it.
    pub(super) fn asked(self) -> String {
        let next = match self {
            // The API server isn't ready before it can read all Secrets.
            Self::Encryption => {
                "; Secrets of the old key keep the API server from starting, docs/state.md removes them"
            }
            Self::ServiceAccount | Self::Ca => "",
        };
        format!("`--renew {self}` was given{next}")
    }

    /// What a new key costs, as the rest of a sentence.
    pub(super) fn loss(self) -> &'static str {
        match self {
            Self::Encryption => "all Secrets that were stored with the old one are lost and have to be removed",
            Self::ServiceAccount => "all tokens of service accounts become invalid",
            Self::Ca => "all kubeconfigs and certificates that were handed out become invalid",
        }
    }
}

impl FromStr for Renewal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|renewal| renewal.word() == text);
        found.ok_or_else(|| format!("`{text}` is none of `encryption`, `service-account` and `ca`"))
    }
}

impl fmt::Display for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a cluster was before this boot. The default is a cluster that is made now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// It was booted before. Every key that is made is reported then.
    pub booted: bool,
    /// Its datastore has content, which a new key can't read or doesn't fit.
    pub has_data: bool,
    /// The nodes that it had.
    pub nodes: BTreeSet<String>,
}
