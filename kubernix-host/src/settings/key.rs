//! The names of settings, and where a value can come from.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt;
use std::path::PathBuf;

/// What the name of a setting begins with that lists mirrors.
pub(super) const MIRRORS: &str = "registry.mirrors.";

/// A setting's name. Ordered as settings are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Name,
    Root,
    Cidr,
    Port,
    Uplink,
    RegistryPort,
    Publish,
    CacheDir,
    Install,
    BootTimeout,
    Plugins,
    PluginPath,
    Addons,
    AddonFiles,
    Wait,
    Nodes,
    ControlPlanes,
    Placement,
    Zones,
    MergeKubeconfig,
    /// What is asked for images before the registry that their names begin with.
    Mirrors(String),
    /// The component that fills this role.
    Slot(String),
    /// A component's parameter.
    Parameter(String, String),
}

impl Key {
    /// All but mirrors, slots and parameters.
    pub const PLAIN: [Self; 20] = [
        Self::Name,
        Self::Root,
        Self::Cidr,
        Self::Port,
        Self::Uplink,
        Self::RegistryPort,
        Self::Publish,
        Self::CacheDir,
        Self::Install,
        Self::BootTimeout,
        Self::Plugins,
        Self::PluginPath,
        Self::Addons,
        Self::AddonFiles,
        Self::Wait,
        Self::Nodes,
        Self::ControlPlanes,
        Self::Placement,
        Self::Zones,
        Self::MergeKubeconfig,
    ];

    /// The plain setting of this name in `kubernix.toml`.
    pub fn plain(name: &str) -> Option<Self> {
        Self::PLAIN.into_iter().find(|key| key.to_string() == name)
    }

    /// The variable of a plain setting.
    pub fn variable(&self) -> String {
        format!("KUBERNIX_{}", self.to_string().to_uppercase().replace('-', "_"))
    }

    /// Where a value comes from that a flag gave.
    pub fn flag(&self, value: &str) -> Origin {
        Origin::Flag(match self {
            Self::Mirrors(_) => format!("--set {self}"),
            Self::Slot(role) => format!("--set {role}"),
            Self::Parameter(component, name) => format!("--set {component}.{name}"),
            Self::Install if value == "false" => "--no-install".into(),
            Self::Plugins => "--plugin".into(),
            Self::AddonFiles => "--addon".into(),
            plain => format!("--{plain}"),
        })
    }

    /// Whether the value is a number.
    pub fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Port | Self::RegistryPort | Self::BootTimeout | Self::Nodes | Self::ControlPlanes | Self::Zones
        )
    }

    /// Whether it belongs to the cluster and is saved with it, and not to each call.
    pub fn is_saved(&self) -> bool {
        !matches!(self, Self::Name | Self::Root | Self::CacheDir | Self::Install | Self::BootTimeout | Self::Wait)
    }

    /// Whether nothing but a boot can change it: what it is about is of the sandbox, or of the host.
    pub fn is_of_boot(&self) -> bool {
        matches!(self, Self::Cidr | Self::Port | Self::Uplink | Self::RegistryPort)
    }

    /// Whether the value is a path, which is taken as relative to where it was given.
    pub fn is_path(&self) -> bool {
        match self {
            Self::Root | Self::CacheDir => true,
            Self::Parameter(_, name) => name == super::catalogue::BINARY,
            _ => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Root => f.write_str("root"),
            Self::Cidr => f.write_str("cidr"),
            Self::Port => f.write_str("port"),
            Self::Uplink => f.write_str("uplink"),
            Self::RegistryPort => f.write_str("registry-port"),
            Self::Publish => f.write_str("publish"),
            Self::CacheDir => f.write_str("cache-dir"),
            Self::Install => f.write_str("install"),
            Self::BootTimeout => f.write_str("boot-timeout"),
            Self::Plugins => f.write_str("plugins"),
            Self::PluginPath => f.write_str("plugin-path"),
            Self::Addons => f.write_str("addons"),
            Self::AddonFiles => f.write_str("addon-files"),
            Self::Wait => f.write_str("wait"),
            Self::Nodes => f.write_str("nodes"),
            Self::ControlPlanes => f.write_str("control-planes"),
            Self::Placement => f.write_str("placement"),
            Self::Zones => f.write_str("zones"),
            Self::MergeKubeconfig => f.write_str("merge-kubeconfig"),
            Self::Mirrors(prefix) => write!(f, "{MIRRORS}{prefix}"),
            Self::Slot(role) => write!(f, "slots.{role}"),
            Self::Parameter(component, name) => write!(f, "components.{component}.{name}"),
        }
    }
}

/// Where a value came from. Prints as what a user would look for: `--cidr`, `KUBERNIX_CIDR`, `/x/kubernix.toml:3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command, by name.
    Flag(String),
    /// A variable of the environment, by name.
    Env(String),
    /// A configuration file and the line in it, from 1.
    File(PathBuf, usize),
    /// The file in the cluster's root directory that holds what it was booted with last.
    Saved(PathBuf),
    /// Nobody said anything else.
    Default,
}

impl Origin {
    /// The sort of place: `flag`, `env`, `file`, `saved` or `default`.
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

/// `{"source": "file", "at": "/x/kubernix.toml:3"}`.
impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Origin", 2)?;
        fields.serialize_field("source", self.source())?;
        fields.serialize_field("at", &self.to_string())?;
        fields.end()
    }
}
