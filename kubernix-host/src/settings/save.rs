//! Writes the settings of a boot to the cluster's `kubernix.toml`, for the next boot.

use super::{Id, Settings};
use crate::root_dir::{self, Root, write_atomic};
use serde::Serialize;
use std::collections::BTreeMap;
use toml::Table;

/// The comment above saved settings.
pub(super) const HEADER: &str = "\
# The settings of this cluster's last boot, and the next one. Flags, variables and other files replace single values.
# Rewritten by each `kubernix up`. A setting that is removed here gets its default again. `cidr` can't change;
# `name` is that of the directory, which `kubernix rename` changes.
";

/// The tables after the single settings.
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

/// The text of the file. Default values are omitted, unless the setting is pinned.
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

/// Saves the applied settings. The first call also records the CIDR, which can't change afterwards.
/// Returns `true` if the file changed.
///
/// # Errors
/// The cluster has another CIDR, or a file can't be written.
pub fn save(root: &Root, settings: &Settings) -> Result<bool, root_dir::Error> {
    root.record_cidr(settings.cidr)?;
    write_atomic(&root.settings_file(), settings.to_toml().as_bytes(), 0o600)
}
