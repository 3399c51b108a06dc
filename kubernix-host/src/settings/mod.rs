//! What a cluster is to be: the settings, and where each of them came from.
//!
//! One precedence for all of them: flags, then `KUBERNIX_*` variables, then `kubernix.toml`, then
//! what the cluster was booted with last, then the default. Must not know any component by name:
//! what there is comes in as a [`Catalogue`].

mod call;
mod carry;
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
mod value;

pub use crate::text::nearest;
pub use call::{Call, quoted};
pub use carry::{Carried, carry};
pub use catalogue::{Catalogue, Entry, NONE, binary_overrides, of_any_version, set_forms, show_all, validate};
pub use changes::Change;
pub use check::CheckedFile;
pub use defaults::Defaults;
pub use document::Finding;
pub use error::{Error, Unknown};
pub use form::Form;
pub use key::Origin;
pub use resolve::{Place, locate, locate_or, of_text, resolve, resolve_with, saved};
pub use save::save;
pub use schema::schema;
pub use setting::{Flag, Scope, Setting, Standard, Takes};
pub use table::{Id, Partial, Settings};
pub use value::{WaitFor, node_of, of_node, parse_members, parse_name, parse_node};

use key::Key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name of a cluster that is given none.
pub const DEFAULT_NAME: &str = "kubernix";
/// The longest name of a cluster, in bytes: node names, interfaces and sockets are made of it.
pub const MAX_NAME: usize = 40;

/// Settings, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// What the cluster of this name was booted with last, if there is one.
    pub saved: Option<Settings>,
    /// The revision of the state that these are of; `None` where no state was committed yet.
    pub revision: Option<u64>,
    /// Where each came from, by key as in `kubernix.toml`: `cidr`, `slots.cri`,
    /// `components.crio.binary`.
    pub origins: BTreeMap<String, Origin>,
    /// What should be shown: values that replace those the cluster was booted with last, variables
    /// that look misspelt.
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
    /// For a parameter of a component: which values fit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fits: String,
}

/// Every setting with its value and where it came from: the general ones first, then slots, then
/// parameters.
pub fn show(resolved: &Resolved) -> Vec<Row> {
    let row = |(key, value): (Key, String)| {
        let key = key.to_string();
        let origin = resolved.origins.get(&key).cloned().unwrap_or(Origin::Default);
        Row { key, value, origin, fits: String::new() }
    };
    resolved.settings.entries().into_iter().map(row).collect()
}

impl Settings {
    /// All that is set, by key, as text.
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

    /// The settings that belong to the cluster, as the TOML that is saved in its root directory.
    /// Where it lies, the cache, whether to install and how long to wait belong to each call
    /// instead.
    pub fn to_toml(&self) -> String {
        save::render(self)
    }
}

#[cfg(test)]
mod tests;
