//! `kubernix.toml` of a cluster: what it was booted with, for the next boot.

use super::{Id, Settings};
use crate::root::{self, Root, write_atomic};
use serde::Serialize;
use std::collections::BTreeMap;
use toml::Table;

/// What stands above saved settings.
pub(super) const HEADER: &str = "\
# What this cluster was booted with last, and will be again: flags, variables and other files replace single values.
# Rewritten by each `kubernix up`; lines removed here go back to their defaults. `cidr` can't
# change; `name` is the directory's, which `kubernix rename` changes.
";

/// The tables behind the single settings.
#[derive(Serialize)]
struct Tables<'a> {
    #[serde(skip_serializing_if = "Registry::is_empty")]
    registry: Registry<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: &'a BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Registry<'a> {
    mirrors: &'a BTreeMap<String, Vec<String>>,
}

impl Registry<'_> {
    fn is_empty(&self) -> bool {
        self.mirrors.is_empty()
    }
}

/// The text of the file. Values that are the default are left out, unless the setting is pinned.
pub(super) fn render(settings: &Settings) -> String {
    let mut text = HEADER.to_owned();
    for setting in Id::ALL.iter().map(|id| id.setting()) {
        if let Some(value) = setting.save(settings) {
            text += &Table::from_iter([(setting.key().to_owned(), value)]).to_string();
        }
    }
    let Settings { mirrors, slots, components, .. } = settings;
    let tables = Tables { registry: Registry { mirrors }, slots, components };
    let tables = toml::to_string(&tables).expect("tables of texts are TOML");
    if !tables.is_empty() {
        text.push('\n');
    }
    text + &tables
}

/// Saves the settings as applied, and with the first of them what can't change any more. `true` if
/// the file changed.
///
/// # Errors
/// The cluster has another CIDR, or the files can't be written.
pub fn save(root: &Root, settings: &Settings) -> Result<bool, root::Error> {
    root.record_cidr(settings.cidr)?;
    write_atomic(&root.settings_file(), settings.to_toml().as_bytes(), 0o600)
}
