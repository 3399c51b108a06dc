//! What a cluster is to be: the settings, and where each of them came from.
//!
//! One precedence for all of them: flags, then `KUBERNIX_*` variables, then `kubernix.toml`, then what the cluster was
//! booted with last, then the default. Must not know any component by name: what there is comes in as a [`Catalogue`].

mod call;
mod carry;
mod catalogue;
mod changes;
mod defaults;
mod error;
mod file;
mod key;
mod partial;
mod resolve;
mod search;
pub mod set;
mod value;

pub use crate::text::nearest;
pub use call::{Call, quoted};
pub use carry::{Carried, carry};
pub use catalogue::{Catalogue, Entry, NONE, binary_overrides, of_any_version, show_all, validate};
pub use changes::Change;
pub use defaults::Defaults;
pub use error::{Error, Unknown};
pub use file::save;
pub use key::Origin;
pub use partial::Partial;
pub use resolve::{Place, locate, locate_or, of_text, resolve, resolve_with, saved};
pub use value::{WaitFor, node_of, of_node, parse_members, parse_name, parse_node};

use crate::network::{Published, UplinkMode};
use crate::placement::NodesIn;
use ipnet::Ipv4Net;
use key::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name of a cluster that is given none.
pub const DEFAULT_NAME: &str = "kubernix";
/// The longest name of a cluster, in bytes: node names, interfaces and sockets are made of it.
pub const MAX_NAME: usize = 40;
/// The range that a cluster's addresses come from, if no other is given.
pub const DEFAULT_CIDR: &str = "10.10.0.0/16";
/// How long a boot may take, if nothing else is said, in seconds.
pub const DEFAULT_BOOT_TIMEOUT_S: u64 = 120;

/// What a cluster is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The cluster's name: a DNS label of at most [`MAX_NAME`] bytes.
    pub name: String,
    /// The base directory; the cluster's own is `root/name`. Absolute.
    pub root: PathBuf,
    /// The range that all of the cluster's addresses come from, one that an address plan can be cut from.
    pub cidr: Ipv4Net,
    /// The API server's port on 127.0.0.1. `None`: the first free one from 6443.
    pub port: Option<u16>,
    /// Whether the cluster gets a way to other networks.
    pub uplink: UplinkMode,
    /// The local registry's port on 127.0.0.1. `None`: the first free one from 5000.
    pub registry_port: Option<u16>,
    /// Ports of the nodes that the host answers at; each place on the host once.
    pub publish: Vec<Published>,
    /// Registry -> URLs that are asked for its images first, in this order.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Role -> component: the slots that someone filled. The others have their default.
    pub slots: BTreeMap<String, String>,
    /// Component (or binary) -> parameter -> text. Paths of `binary` are absolute.
    pub components: BTreeMap<String, BTreeMap<String, String>>,
    /// Where built tools are kept, for all clusters. Absolute.
    pub cache_dir: PathBuf,
    /// Whether missing host packages may be installed.
    pub install: bool,
    /// How long a boot may take, in seconds.
    pub boot_timeout_s: u64,
    /// Plugins, and directories of them, that are looked at first.
    pub plugins: Vec<PathBuf>,
    /// Further plugins and directories, looked at after those.
    pub plugin_path: Vec<PathBuf>,
    /// The addons of the tree that run in the cluster, by name. `None`: those that do by default.
    pub addons: Option<Vec<String>>,
    /// Manifests, and directories of them, that are addons.
    pub addon_files: Vec<PathBuf>,
    /// How far a boot has come when `up` returns.
    pub wait: WaitFor,
    /// How many nodes the cluster has. `None`: as many as it has, one at first.
    pub nodes: Option<u32>,
    /// How many members its control plane has. `None`: as many as it was made with, one at first.
    pub control_planes: Option<u32>,
    /// What its nodes are placed into. `None`: what they were placed into at first, namespaces where it is new.
    pub placement: Option<NodesIn>,
    /// How many zones its nodes are in, in turn. `None`: none.
    pub zones: Option<u32>,
    /// Whether the admin's context is merged into the user's own kubeconfig at each boot.
    pub merge_kubeconfig: bool,
}

/// Settings, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// What the cluster of this name was booted with last, if there is one.
    pub saved: Option<Settings>,
    /// The revision of the state that these are of; `None` where no state was committed yet.
    pub revision: Option<u64>,
    /// Where each came from, by key as in `kubernix.toml`: `cidr`, `slots.cri`, `components.crio.binary`.
    pub origins: BTreeMap<String, Origin>,
    /// What should be shown: values that replace those the cluster was booted with last, variables that look misspelt.
    pub said: Vec<String>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
}

impl Resolved {
    /// As [`validate`]; the error says where the value came from.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn validate(&self, catalogue: &Catalogue) -> Result<(), Error> {
        validate(&self.settings, catalogue).map_err(|error| error.from(&self.origins))
    }
}

/// One line of `kubernix config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The key, as in `kubernix.toml`: `boot-timeout`, `components.crio.binary`.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Every setting with its value and where it came from: the general ones first, then slots, then parameters.
pub fn show(resolved: &Resolved) -> Vec<Row> {
    let row = |(key, value): (Key, String)| {
        let key = key.to_string();
        let origin = resolved.origins.get(&key).cloned().unwrap_or(Origin::Default);
        Row { key, value, origin }
    };
    resolved.settings.entries().into_iter().map(row).collect()
}

impl Settings {
    /// All that is set, by key, as text.
    fn entries(&self) -> Vec<(Key, String)> {
        let port = self.port.map_or_else(|| "first free from 6443".into(), |port| port.to_string());
        let registry_port = self.registry_port.map_or_else(|| "first free from 5000".into(), |port| port.to_string());
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut entries = vec![
            (Key::Name, self.name.clone()),
            (Key::Root, path(&self.root)),
            (Key::Cidr, self.cidr.to_string()),
            (Key::Port, port),
            (Key::Uplink, self.uplink.to_string()),
            (Key::RegistryPort, registry_port),
            (Key::Publish, value::show_published(&self.publish)),
            (Key::CacheDir, path(&self.cache_dir)),
            (Key::Install, self.install.to_string()),
            (Key::BootTimeout, self.boot_timeout_s.to_string()),
            (Key::Plugins, value::show_paths(&self.plugins)),
            (Key::PluginPath, value::show_paths(&self.plugin_path)),
            (Key::Addons, self.addons.as_deref().map_or_else(|| "default".into(), value::show_addons)),
            (Key::AddonFiles, value::show_paths(&self.addon_files)),
            (Key::Wait, self.wait.to_string()),
            (Key::Nodes, self.nodes.map_or_else(|| "1".into(), |nodes| nodes.to_string())),
            (Key::ControlPlanes, self.control_planes.map_or_else(|| "1".into(), |members| members.to_string())),
            (Key::Placement, self.placement.unwrap_or_default().to_string()),
            (Key::Zones, self.zones.map_or_else(|| "none".into(), |zones| zones.to_string())),
            (Key::MergeKubeconfig, self.merge_kubeconfig.to_string()),
        ];
        entries.extend(self.mirrors.iter().map(|(prefix, urls)| (Key::Mirrors(prefix.clone()), urls.join(","))));
        entries.extend(self.slots.iter().map(|(role, component)| (Key::Slot(role.clone()), component.clone())));
        for (component, parameters) in &self.components {
            let key = |name: &String| Key::Parameter(component.clone(), name.clone());
            entries.extend(parameters.iter().map(|(name, value)| (key(name), value.clone())));
        }
        entries
    }

    /// The settings that belong to the cluster, as the TOML that is saved in its root directory. Where it lies, the cache,
    /// whether to install and how long to wait belong to each call instead.
    pub fn to_toml(&self) -> String {
        file::render(self)
    }
}

#[cfg(test)]
mod tests;
