//! `kubernix.toml`: read with the place of every value, and written as what a cluster was booted with.

use super::{Error, Key, Origin, Partial, Settings, of_node};
use crate::network::{Published, UplinkMode};
use crate::placement::NodesIn;
use crate::root::{self, Root, write_atomic};
use crate::text::{nearest, position};
use ipnet::Ipv4Net;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SLOTS: &str = "slots";
const REGISTRY: &str = "registry";
const MIRRORS: &str = "mirrors";
const COMPONENTS: &str = "components";
/// What is meant on one node alone: `[node.NAME.slots]`, `[node.NAME.components.COMPONENT]`.
const NODE: &str = "node";

impl Partial {
    /// What a configuration file says, given its text. Relative paths in it stay so until it is resolved; `path` is for
    /// origins and messages.
    ///
    /// # Errors
    /// The text isn't TOML, or says what no configuration can say: by line and column.
    pub fn from_toml(path: &Path, text: &str) -> Result<Self, Error> {
        let mut reader = Reader { path, text, partial: Self::default() };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            reader.error(&at, error.message().trim().replace('\n', ", "))
        })?;
        reader.document(table.get_ref())?;
        Ok(reader.partial)
    }
}

/// Reads a configuration file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Partial>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Partial::from_toml(path, &text).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::Read { path: path.to_owned(), cause }),
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    partial: Partial,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn document(&mut self, table: &DeTable<'_>) -> Result<(), Error> {
        for (name, value) in table {
            match (name.get_ref().as_ref(), Key::plain(name.get_ref())) {
                (_, Some(key)) => self.plain(key, value)?,
                (SLOTS, _) => self.slots(None, value)?,
                (COMPONENTS, _) => self.components(None, value)?,
                (REGISTRY, _) => self.registry(value)?,
                (NODE, _) => self.nodes(value)?,
                (other, _) => {
                    let plain: Vec<String> = Key::PLAIN.iter().map(Key::to_string).collect();
                    let known = plain.iter().map(String::as_str).chain([SLOTS, COMPONENTS, REGISTRY, NODE]);
                    return Err(self.error(&name.span(), format!("unknown key `{other}`{}", nearest(other, known))));
                }
            }
        }
        Ok(())
    }

    fn plain(&mut self, key: Key, value: &Value<'_>) -> Result<(), Error> {
        let (wanted, text) = match (&key, value.get_ref()) {
            (key, DeValue::Integer(number)) if key.is_number() => ("", number.to_string()),
            (key, _) if key.is_number() => ("a number", String::new()),
            (Key::Install | Key::MergeKubeconfig, DeValue::Boolean(yes)) => ("", yes.to_string()),
            (Key::Install | Key::MergeKubeconfig, _) => ("true or false", String::new()),
            (Key::Plugins | Key::PluginPath | Key::AddonFiles, DeValue::Array(paths)) => match texts_of(paths) {
                Some(paths) => ("", super::value::show_paths(&paths.iter().map(PathBuf::from).collect::<Vec<_>>())),
                None => ("a list of paths in quotes", String::new()),
            },
            (Key::Publish, DeValue::Array(ports)) => match texts_of(ports) {
                Some(ports) => ("", ports.join(",")),
                None => ("a list of HOST:NODEPORT in quotes", String::new()),
            },
            (Key::Addons, DeValue::Array(names)) => match texts_of(names) {
                Some(names) => ("", super::value::show_addons(&names)),
                None => ("a list of names in quotes", String::new()),
            },
            (_, DeValue::String(text)) => ("", text.to_string()),
            _ => ("text in quotes", String::new()),
        };
        if !wanted.is_empty() {
            return Err(self.wrong_type(&key, wanted, value));
        }
        self.put(key, &text, value)
    }

    fn nodes(&mut self, value: &Value<'_>) -> Result<(), Error> {
        for (node, value) in self.table(NODE, value)? {
            let node = node.get_ref();
            for (name, value) in self.table(&format!("{NODE}.{node}"), value)? {
                match name.get_ref().as_ref() {
                    SLOTS => self.slots(Some(node), value)?,
                    COMPONENTS => self.components(Some(node), value)?,
                    other => {
                        let known = nearest(other, [SLOTS, COMPONENTS]);
                        return Err(self.error(&name.span(), format!("unknown key `{other}` of a node{known}")));
                    }
                }
            }
        }
        Ok(())
    }

    fn slots(&mut self, node: Option<&str>, value: &Value<'_>) -> Result<(), Error> {
        for (role, component) in self.table(SLOTS, value)? {
            let role = role.get_ref();
            let key = Key::Slot(node.map_or_else(|| role.to_string(), |node| of_node(node, role)));
            let Some(text) = component.get_ref().as_str() else {
                return Err(self.wrong_type(&key, "a component's name in quotes", component));
            };
            self.put(key, text, component)?;
        }
        Ok(())
    }

    fn components(&mut self, node: Option<&str>, value: &Value<'_>) -> Result<(), Error> {
        for (component, parameters) in self.table(COMPONENTS, value)? {
            let component = component.get_ref();
            let component = node.map_or_else(|| component.to_string(), |node| of_node(node, component));
            self.parameters(&component, parameters)?;
        }
        Ok(())
    }

    fn registry(&mut self, value: &Value<'_>) -> Result<(), Error> {
        for (name, value) in self.table(REGISTRY, value)? {
            if name.get_ref() != MIRRORS {
                let known = nearest(name.get_ref(), [MIRRORS]);
                return Err(
                    self.error(&name.span(), format!("unknown key `{}` of `{REGISTRY}`{known}", name.get_ref()))
                );
            }
            for (prefix, urls) in self.table(&format!("{REGISTRY}.{MIRRORS}"), value)? {
                let key = Key::Mirrors(prefix.get_ref().to_string());
                let text = match urls.get_ref() {
                    DeValue::String(url) => Some(url.to_string()),
                    DeValue::Array(urls) => texts_of(urls).map(|urls| urls.join(",")),
                    _ => None,
                };
                let Some(text) = text else { return Err(self.wrong_type(&key, "a list of URLs in quotes", urls)) };
                self.put(key, &text, urls)?;
            }
        }
        Ok(())
    }

    fn parameters(&mut self, component: &str, parameters: &Value<'_>) -> Result<(), Error> {
        for (name, value) in self.table(&format!("{COMPONENTS}.{component}"), parameters)? {
            let key = Key::Parameter(component.into(), name.get_ref().to_string());
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.as_str().into(),
                DeValue::Boolean(yes) => yes.to_string(),
                _ => return Err(self.wrong_type(&key, "text in quotes, a number, true or false", value)),
            };
            self.put(key, &text, value)?;
        }
        Ok(())
    }

    fn put(&mut self, key: Key, text: &str, value: &Value<'_>) -> Result<(), Error> {
        let origin = Origin::File(self.path.to_owned(), position(self.text, value.span().start).0);
        self.partial.put(key, text, origin).map_err(|reason| self.error(&value.span(), reason))
    }

    fn table<'v, 't>(&self, name: &str, value: &'v Value<'t>) -> Result<&'v DeTable<'t>, Error> {
        let other = || self.error(&value.span(), format!("`{name}` must be a table, not {}", kind(value)));
        value.get_ref().as_table().ok_or_else(other)
    }

    fn wrong_type(&self, key: &Key, wanted: &str, value: &Value<'_>) -> Error {
        self.error(&value.span(), format!("`{key}` must be {wanted}, not {}", kind(value)))
    }

    fn error(&self, at: &Range<usize>, reason: String) -> Error {
        let (line, column) = position(self.text, at.start);
        Error::File { path: self.path.to_owned(), line, column, reason }
    }
}

fn texts_of(array: &toml::de::DeArray<'_>) -> Option<Vec<String>> {
    array.iter().map(|text| text.get_ref().as_str().map(String::from)).collect()
}

/// What a value is, with its article.
fn kind(value: &Value<'_>) -> String {
    let name = value.get_ref().type_str();
    format!("{} {name}", if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}

/// What stands above saved settings.
pub(super) const HEADER: &str = "\
# What this cluster was booted with last, and will be again: flags, variables and other files replace single values.
# Rewritten by each `kubernix up`; lines removed here go back to their defaults. `cidr` can't
# change; `name` is the directory's, which `kubernix rename` changes.
";

/// What is saved of settings.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Saved<'a> {
    name: &'a str,
    cidr: Ipv4Net,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "is_default")]
    uplink: UplinkMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_planes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<NodesIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zones: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    publish: &'a [Published],
    #[serde(skip_serializing_if = "is_false")]
    merge_kubeconfig: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    plugins: &'a [PathBuf],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    plugin_path: &'a [PathBuf],
    #[serde(skip_serializing_if = "Option::is_none")]
    addons: Option<&'a [String]>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    addon_files: &'a [PathBuf],
    #[serde(skip_serializing_if = "SavedRegistry::is_empty")]
    registry: SavedRegistry<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: &'a BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct SavedRegistry<'a> {
    mirrors: &'a BTreeMap<String, Vec<String>>,
}

impl SavedRegistry<'_> {
    fn is_empty(&self) -> bool {
        self.mirrors.is_empty()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it may skip so")]
fn is_false(value: &bool) -> bool {
    !value
}

fn is_default(mode: &UplinkMode) -> bool {
    *mode == UplinkMode::default()
}

pub(super) fn render(settings: &Settings) -> String {
    let Settings { name, cidr, port, plugins, plugin_path, addons, addon_files, slots, components, .. } = settings;
    let Settings { uplink, registry_port, publish, merge_kubeconfig, mirrors, nodes, control_planes, zones, .. } =
        settings;
    let placement = settings.placement;
    let saved = Saved {
        name,
        cidr: *cidr,
        port: *port,
        uplink: *uplink,
        registry_port: *registry_port,
        nodes: *nodes,
        control_planes: *control_planes,
        placement,
        zones: *zones,
        publish,
        merge_kubeconfig: *merge_kubeconfig,
        plugins,
        plugin_path,
        addons: addons.as_deref(),
        addon_files,
        registry: SavedRegistry { mirrors },
        slots,
        components,
    };
    HEADER.to_owned() + &toml::to_string(&saved).expect("a table of texts and numbers is TOML")
}

/// Saves the settings as applied, and with the first of them what can't change any more. `true` if the file changed.
///
/// # Errors
/// The cluster has another CIDR, or the files can't be written.
pub fn save(root: &Root, settings: &Settings) -> Result<bool, root::Error> {
    root.fix_cidr(settings.cidr)?;
    write_atomic(&root.spec_file(), settings.to_toml().as_bytes(), 0o600)
}
