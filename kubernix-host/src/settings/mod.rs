//! The settings of a cluster, and the origin of each value.
//!
//! The precedence is: flags, `KUBERNIX_*` variables, `kubernix.toml`, the settings of the last
//! boot, the default. Must not know any component by name: components come in as a [`Catalogue`].

mod call;
mod catalogue;
mod changes;
mod check;
mod defaults;
mod define;
mod document;
mod error;
mod form;
mod key;
mod kind;
mod partial;
#[cfg(test)]
mod reference;
mod resolve;
mod save;
mod schema;
mod search;
pub mod set;
mod setting;
mod table;
mod transfer;
mod value;

pub use crate::text::nearest;
pub use call::{Call, quoted};
pub use catalogue::{Catalogue, Entry, NONE, any_version_binaries, binary_overrides, set_forms, show_all, validate};
pub use changes::Change;
pub use check::CheckedFile;
pub use defaults::Defaults;
pub use document::Finding;
pub use error::{Error, Unknown};
pub use form::Form;
pub use key::Origin;
pub use resolve::{Place, locate, locate_or, parse_saved, resolve, resolve_with, saved};
pub use save::save;
pub use schema::schema;
pub use setting::{DefaultValue, Flag, Scope, Setting, Takes};
pub use table::{Id, Partial, Settings};
pub use transfer::{Transferred, transfer};
pub use value::{UnknownWaitFor, ValueError, WaitFor, node_key, parse_members, parse_name, parse_node, split_node_key};

use key::Key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The default name of a cluster.
pub const DEFAULT_NAME: &str = "kubernix";
/// The longest name of a cluster, in bytes. Names of nodes, interfaces and sockets contain it.
pub const MAX_NAME: usize = 40;

/// Settings and their origins.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// The settings of the last boot, if a cluster of this name exists.
    pub saved: Option<Settings>,
    /// The revision of the state that these belong to; `None` if no state was committed yet.
    pub revision: Option<u64>,
    /// The origins of values, by key as in `kubernix.toml`: `cidr`, `slots.cri`,
    /// `components.crio.binary`.
    pub origins: BTreeMap<String, Origin>,
    /// Messages for the user: saved values that are replaced, variables that may be misspelt.
    pub notes: Vec<String>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
}

impl Resolved {
    /// As [`validate`]. The error has the origin of the value.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn validate(&self, catalogue: &Catalogue) -> Result<(), Error> {
        validate(&self.settings, catalogue).map_err(|error| error.with_origin(&self.origins))
    }
}

/// One line of `kubernix config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The key, as in `kubernix.toml`: `boot-timeout`, `components.crio.binary`.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// The origin of the value.
    pub origin: Origin,
    /// For a parameter of a component: the valid values.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fits: String,
}

/// All settings with their values and origins: single settings first, then slots, then parameters.
pub fn show(resolved: &Resolved) -> Vec<Row> {
    let row = |(key, value): (Key, String)| {
        let key = key.to_string();
        let origin = resolved.origins.get(&key).cloned().unwrap_or(Origin::Default);
        Row { key, value, origin, fits: String::new() }
    };
    resolved.settings.entries().into_iter().map(row).collect()
}

impl Settings {
    /// All values as text, by key.
    fn entries(&self) -> Vec<(Key, String)> {
        let plain = |id: &Id| (Key::Plain(*id), (id.setting().operations.show)(self));
        let mut entries: Vec<(Key, String)> = Id::ALL.iter().map(plain).collect();
        entries.extend(self.mirrors.iter().map(|(prefix, urls)| (Key::Mirrors(prefix.clone()), urls.join(","))));
        entries.extend(self.slots.iter().map(|(role, component)| (Key::Slot(role.clone()), component.clone())));
        for (component, parameters) in &self.components {
            let key = |name: &String| Key::Parameter(component.clone(), name.clone());
            entries.extend(parameters.iter().map(|(name, value)| (key(name), value.clone())));
        }
        entries
    }

    /// The settings that are saved in the cluster's root directory, as TOML. Settings of a single
    /// call, such as the time limit, are omitted.
    pub fn to_toml(&self) -> String {
        save::render(self)
    }
}

#[cfg(test)]
mod tests;
