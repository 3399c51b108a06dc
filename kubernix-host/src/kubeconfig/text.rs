//! Edits a kubeconfig's text. Everything that isn't edited stays the same, byte by byte.
//!
//! `yaml-edit` keeps comments and layout. Each edit is checked with another parser: if the edited
//! text has other content than intended, the edit is rejected.

use super::Error;
use super::model::{CURRENT, Config, Kind, value};
use serde_json::{Map, Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::str::FromStr;
use yaml_edit::{AsYaml, Document, Mapping, Scalar, Sequence};

/// The first lines of a new file.
const HEADER: &str = "apiVersion: v1\nkind: Config\n";

/// A change of a kubeconfig's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    /// Sets fields of an entry and keeps its other fields. A missing entry is appended to its list.
    Set { kind: Kind, name: String, fields: Vec<(&'static str, String)> },
    /// Renames an existing entry.
    Rename { kind: Kind, name: String, to: String },
    /// Removes an entry.
    Remove { kind: Kind, name: String },
    /// Sets the current context.
    Current(String),
}

/// Applies edits to the text of a kubeconfig. `own`: the cluster's own kubeconfig, which the error
/// names if the text can't be edited.
pub(super) fn edited(path: &Path, own: &Path, text: &str, edits: &[Edit]) -> Result<String, Error> {
    let mut text = text.to_owned();
    if value(path, &text)?.is_null() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text += HEADER;
    }
    let uneditable = || Error::Uneditable { path: path.to_owned(), own: own.to_owned() };
    for edit in edits {
        let config = Config::of(path, &text)?;
        let mut wanted = value(path, &text)?;
        apply(&mut wanted, edit);
        // A panic of the library must not make each `down` of the cluster fail.
        let new = catch_unwind(AssertUnwindSafe(|| rewrite(&text, &config, edit)));
        let new = new.ok().flatten().ok_or_else(uneditable)?;
        if value(path, &new).ok().as_ref() != Some(&wanted) {
            return Err(uneditable());
        }
        text = new;
    }
    Ok(text)
}

/// Applies an edit to the parsed content.
fn apply(config: &mut Value, edit: &Edit) {
    match edit {
        Edit::Current(name) => config[CURRENT] = json!(name),
        Edit::Rename { kind, name, to } => {
            let entries = config[kind.list()].as_array_mut().into_iter().flatten();
            entries.filter(|entry| entry["name"] == json!(name)).for_each(|entry| entry["name"] = json!(to));
        }
        Edit::Remove { kind, name } => {
            if let Some(list) = config[kind.list()].as_array_mut() {
                list.retain(|entry| entry["name"] != json!(name));
            }
        }
        Edit::Set { kind, name, fields } => {
            if config[kind.list()].is_null() {
                config[kind.list()] = json!([]);
            }
            let Some(list) = config[kind.list()].as_array_mut() else { return };
            let found = list.iter().position(|entry| entry["name"] == json!(name));
            let at = found.unwrap_or_else(|| {
                list.push(json!({ "name": name, kind.key(): {} }));
                list.len() - 1
            });
            for (key, text) in fields {
                list[at][kind.key()][*key] = json!(text);
            }
        }
    }
}

/// Applies an edit to the text; `None` if its layout can't be edited.
fn rewrite(text: &str, config: &Config, edit: &Edit) -> Option<String> {
    let document = Document::from_str(text).ok()?;
    let root = document.as_mapping()?;
    // A file in JSON remains JSON.
    let is_json = serde_json::from_str::<Value>(text).is_ok();
    match edit {
        Edit::Current(name) => set(&root, CURRENT, name, is_json)?,
        Edit::Rename { kind, name, to } => {
            let entry = root.get_sequence(kind.list())?.get(config.position(*kind, name)?)?;
            set(entry.as_mapping()?, "name", to, is_json)?;
        }
        Edit::Remove { kind, name } => {
            let list = root.get_sequence(kind.list())?;
            list.remove(config.position(*kind, name)?)?;
        }
        Edit::Set { kind, name, fields } => match config.position(*kind, name) {
            Some(at) => {
                let entry = root.get_sequence(kind.list())?.get(at)?;
                let content = entry.as_mapping()?.get_mapping(kind.key())?;
                for (key, text) in fields {
                    set(&content, key, text, is_json)?;
                }
            }
            None => {
                if root.get_sequence(kind.list()).is_none() {
                    root.set(kind.list(), Sequence::new());
                }
                root.get_sequence(kind.list())?.push(&entry(*kind, name, fields, is_json)?);
            }
        },
    }
    Some(document.to_string())
}

fn set(mapping: &Mapping, key: &str, text: &str, is_json: bool) -> Option<()> {
    if is_json {
        mapping.set(&quoted(key)?, &quoted(text)?);
    } else if text.is_empty() {
        // As kubectl writes it.
        mapping.set(key, &quoted(text)?);
    } else {
        mapping.set(key, text);
    }
    Some(())
}

/// A text in double quotes.
fn quoted(text: &str) -> Option<Scalar> {
    Document::from_str(&json!(text).to_string()).ok()?.as_scalar()
}

/// A new entry, in the order in which kubectl writes its fields.
fn entry(kind: Kind, name: &str, fields: &[(&str, String)], is_json: bool) -> Option<impl AsYaml> {
    let content: Map<String, Value> = fields.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    let text = if is_json {
        json!({ kind.key(): content, "name": name }).to_string()
    } else {
        // These values need no quotes. If one did, the check after the edit would reject it.
        let lines: String = fields.iter().map(|(key, text)| format!("  {key}: {text}\n")).collect();
        format!("{}:\n{lines}name: {name}\n", kind.key())
    };
    Document::from_str(&text).ok()?.as_mapping()
}
