//! What one source says: the flags, the environment, or a file.

use super::value::{self, absolute, absolute_text};
use super::{Error, Key, Origin, WaitFor, set};
use crate::network::plan::parse_cidr;
use crate::network::{Published, UplinkMode};
use crate::placement::NodesIn;
use crate::text::nearest::{nearest_of, words};
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that names the configuration file.
const CONFIG: &str = "KUBERNIX_CONFIG";
/// The variable that holds a list of `--set` forms.
const SET: &str = "KUBERNIX_SET";

/// What one source says of the settings; each field as in [`Settings`](super::Settings), where it says anything.
///
/// The flags of a command become one by filling in the fields, and [`Partial::with_sets`] for `--set`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Partial {
    /// The cluster's name.
    pub name: Option<String>,
    /// The base directory. A relative path is relative to the working directory.
    pub root: Option<PathBuf>,
    /// The cluster's range.
    pub cidr: Option<Ipv4Net>,
    /// The API server's port.
    pub port: Option<u16>,
    /// Whether there is to be an uplink.
    pub uplink: Option<UplinkMode>,
    /// The local registry's port.
    pub registry_port: Option<u16>,
    /// Ports of the nodes that the host answers at.
    pub publish: Option<Vec<Published>>,
    /// Registry -> URLs that are asked first.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Role -> component.
    pub slots: BTreeMap<String, String>,
    /// Component -> parameter -> text.
    pub components: BTreeMap<String, BTreeMap<String, String>>,
    /// Where built tools are kept. A relative path is relative to the working directory.
    pub cache_dir: Option<PathBuf>,
    /// Whether missing host packages may be installed.
    pub install: Option<bool>,
    /// How long a boot may take, in seconds.
    pub boot_timeout_s: Option<u64>,
    /// Plugins, and directories of them, that are looked at first.
    pub plugins: Option<Vec<PathBuf>>,
    /// Further plugins and directories, looked at after those.
    pub plugin_path: Option<Vec<PathBuf>>,
    /// The components of the tree that run in the cluster: by name, or none.
    pub addons: Option<Vec<String>>,
    /// Manifests, and directories of them, that are addons.
    pub addon_files: Option<Vec<PathBuf>>,
    /// What a boot waits for.
    pub wait: Option<WaitFor>,
    /// How many nodes there are.
    pub nodes: Option<u32>,
    /// How many members the control plane has.
    pub control_planes: Option<u32>,
    /// What nodes are placed into.
    pub placement: Option<NodesIn>,
    /// How many zones the nodes are in.
    pub zones: Option<u32>,
    /// Whether the user's own kubeconfig gets the cluster's context.
    pub merge_kubeconfig: Option<bool>,
    /// The cluster is made anew: what one of its name was made with doesn't bind.
    pub fresh: bool,
    /// The configuration file to read.
    pub config: Option<PathBuf>,
    /// Where values came from, by key. Those of flags are made up from the key where they are missing.
    pub origins: BTreeMap<String, Origin>,
    /// What should be shown to the user, but is no error.
    pub notes: Vec<String>,
}

impl Partial {
    /// What the `KUBERNIX_*` variables say. Empty ones count as not set; other variables are ignored, unless they look like
    /// a misspelt one: that is noted.
    ///
    /// # Errors
    /// A value doesn't fit, by the variable's name.
    pub fn from_env<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        let mut partial = Self::default();
        for (name, text) in variables {
            let (name, text) = (name.into(), text.into());
            let Some(name) = name.to_str().filter(|name| name.starts_with("KUBERNIX_")) else { continue };
            if text.is_empty() {
                continue;
            }
            let origin = Origin::Env(name.into());
            let refused = |reason: String| Error::value(origin.clone(), reason);
            let not_text = || refused(format!("`{}` is not UTF-8", text.display()));
            if name == CONFIG {
                partial.config = Some(text.into());
            } else if name == SET {
                for form in set::split(text.to_str().ok_or_else(not_text)?) {
                    partial.set(&form, &origin).map_err(refused)?;
                }
            } else if let Some(key) = Key::PLAIN.into_iter().find(|key| key.variable() == name) {
                partial.put(key, text.to_str().ok_or_else(not_text)?, origin.clone()).map_err(refused)?;
            } else {
                partial.note_misspelt(name);
            }
        }
        Ok(partial)
    }

    /// Adds what `--set` flags say; the last of each key counts.
    ///
    /// # Errors
    /// One has none of the two forms, see [`set`].
    pub fn with_sets<S: AsRef<str>>(mut self, sets: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        for form in sets {
            let flag = Origin::Flag("--set".into());
            self.set(form.as_ref(), &flag).map_err(|reason| Error::value(flag, reason))?;
        }
        Ok(self)
    }

    /// Adds what `--addons` says.
    ///
    /// # Errors
    /// It isn't a list of names.
    pub fn with_addons(mut self, names: &str) -> Result<Self, Error> {
        let flag = Key::Addons.flag(names);
        self.put(Key::Addons, names, flag.clone()).map_err(|reason| Error::value(flag, reason))?;
        Ok(self)
    }

    fn set(&mut self, form: &str, origin: &Origin) -> Result<(), String> {
        let (key, value) = set::parse(form)?;
        let origin = match origin {
            Origin::Flag(_) => key.flag(&value),
            other => other.clone(),
        };
        self.put(key, &value, origin)
    }

    /// Takes one value as text.
    pub(super) fn put(&mut self, key: Key, text: &str, origin: Origin) -> Result<(), String> {
        self.origins.insert(key.to_string(), origin);
        match key {
            Key::Name => self.name = Some(value::parse_name(text)?),
            Key::Root => self.root = Some(text.into()),
            Key::Cidr => self.cidr = Some(parse_cidr(text).map_err(|error| error.to_string())?),
            Key::Port => self.port = Some(value::parse_port(text)?),
            Key::Uplink => self.uplink = Some(text.parse()?),
            Key::RegistryPort => self.registry_port = Some(value::parse_port(text)?),
            Key::Publish => self.publish = Some(value::parse_published(text)?),
            Key::Mirrors(prefix) => {
                self.mirrors.insert(value::parse_registry(&prefix)?, value::parse_mirrors(text)?);
            }
            Key::CacheDir => self.cache_dir = Some(text.into()),
            Key::Install => self.install = Some(value::parse_bool(text)?),
            Key::BootTimeout => self.boot_timeout_s = Some(value::parse_seconds(text)?),
            Key::Plugins => self.plugins = Some(value::parse_paths(text)),
            Key::PluginPath => self.plugin_path = Some(value::parse_paths(text)),
            Key::Addons => self.addons = Some(value::parse_addons(text)?),
            Key::AddonFiles => self.addon_files = Some(value::parse_paths(text)),
            Key::Wait => self.wait = Some(text.parse()?),
            Key::Nodes => self.nodes = Some(value::parse_count(text)?),
            Key::ControlPlanes => self.control_planes = Some(value::parse_members(text)?),
            Key::Placement => self.placement = Some(text.parse()?),
            Key::Zones => self.zones = Some(value::parse_count(text)?),
            Key::MergeKubeconfig => self.merge_kubeconfig = Some(value::parse_bool(text)?),
            Key::Slot(role) => {
                self.slots.insert(value::parse_place(&role)?, value::parse_word(text)?);
            }
            Key::Parameter(component, name) => {
                let parameters = self.components.entry(value::parse_place(&component)?).or_default();
                parameters.insert(value::parse_word(&name)?, text.into());
            }
        }
        Ok(())
    }

    /// Where a value of this source came from.
    pub(super) fn origin(&self, key: &Key, value: &str) -> Origin {
        self.origins.get(&key.to_string()).cloned().unwrap_or_else(|| key.flag(value))
    }

    /// The same with all paths absolute.
    pub(super) fn based_at(mut self, directory: &Path, home: Option<&Path>) -> Result<Self, Error> {
        let origins = self.origins.clone();
        let at = |key: Key| origins.get(&key.to_string()).cloned().unwrap_or_else(|| key.flag(""));
        for (key, path) in [(Key::Root, &mut self.root), (Key::CacheDir, &mut self.cache_dir)] {
            if let Some(path) = path {
                *path = absolute(path, directory, home).map_err(|reason| Error::value(at(key), reason))?;
            }
        }
        let lists = [
            (Key::Plugins, &mut self.plugins),
            (Key::PluginPath, &mut self.plugin_path),
            (Key::AddonFiles, &mut self.addon_files),
        ];
        for (key, paths) in lists {
            for path in paths.iter_mut().flatten() {
                *path = absolute(path, directory, home).map_err(|reason| Error::value(at(key.clone()), reason))?;
            }
        }
        for (component, parameters) in &mut self.components {
            for (name, text) in parameters {
                let key = Key::Parameter(component.clone(), name.clone());
                if key.is_path() {
                    *text = absolute_text(text, directory, home).map_err(|reason| Error::value(at(key), reason))?;
                }
            }
        }
        Ok(self)
    }

    fn note_misspelt(&mut self, name: &str) {
        let mut known: Vec<String> = Key::PLAIN.iter().map(Key::variable).collect();
        known.extend([CONFIG.into(), SET.into()]);
        // Without the prefix, or everything with it would look alike.
        let known: Vec<&str> = known.iter().map(|name| name.trim_start_matches("KUBERNIX_")).collect();
        if let Some(near) = nearest_of(name.trim_start_matches("KUBERNIX_"), &known) {
            let near = format!("KUBERNIX_{near}");
            self.notes.push(format!("the variable `{name}` means nothing, did you mean {}?", words(&[&near])));
        }
    }
}
