//! The keys of settings, and the origins of values.

use super::{Id, Scope};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt;
use std::path::PathBuf;

/// The prefix of the keys of mirrors.
pub(super) const MIRRORS: &str = "registry.mirrors.";

/// The key of a setting. The order is that in which settings are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A single setting.
    Plain(Id),
    /// The mirrors of a registry.
    Mirrors(String),
    /// The component that fills a role.
    Slot(String),
    /// A component's parameter.
    Parameter(String, String),
}

impl Key {
    /// The origin of a value that a flag gave.
    pub fn flag(&self, value: &str) -> Origin {
        match self {
            Self::Plain(id) => id.setting().origin(value),
            Self::Mirrors(_) => Origin::Flag(format!("--set {self}")),
            Self::Slot(role) => Origin::Flag(format!("--set {role}")),
            Self::Parameter(component, name) => Origin::Flag(format!("--set {component}.{name}")),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Plain(id) => id.setting().scope(),
            Self::Mirrors(_) | Self::Slot(_) | Self::Parameter(..) => Scope::Cluster,
        }
    }

    /// Whether it is saved with the cluster.
    pub fn is_saved(&self) -> bool {
        matches!(self.scope(), Scope::Boot | Scope::Cluster)
    }

    /// Whether only a boot can change it, because it belongs to the sandbox or the host.
    pub fn needs_boot(&self) -> bool {
        self.scope() == Scope::Boot
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(id) => f.write_str(id.setting().key()),
            Self::Mirrors(prefix) => write!(f, "{MIRRORS}{prefix}"),
            Self::Slot(role) => write!(f, "slots.{role}"),
            Self::Parameter(component, name) => write!(f, "components.{component}.{name}"),
        }
    }
}

/// Where a value came from. Prints as `--cidr`, `KUBERNIX_CIDR` or `/x/kubernix.toml:3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command, by name.
    Flag(String),
    /// An environment variable, by name.
    Env(String),
    /// A configuration file and the line in it, from 1.
    File(PathBuf, usize),
    /// The file with the settings of the last boot, in the cluster's root directory.
    Saved(PathBuf),
    /// No source sets it.
    Default,
}

impl Origin {
    /// The kind of origin: `flag`, `env`, `file`, `saved` or `default`.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Env(_) => "env",
            Self::File(..) => "file",
            Self::Saved(_) => "saved",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Env(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Saved(path) => write!(f, "{} (saved)", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Serializes as `{"source": "file", "at": "/x/kubernix.toml:3"}`.
impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Origin", 2)?;
        fields.serialize_field("source", self.source())?;
        fields.serialize_field("at", &self.to_string())?;
        fields.end()
    }
}
