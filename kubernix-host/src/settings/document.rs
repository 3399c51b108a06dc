//! Reads `kubernix.toml`: all values with their positions, and all errors.

use super::form::{Read, texts_of};
use super::{Error, Id, Key, Origin, Partial, node_key};
use crate::text::{Located, nearest, position};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) const SLOTS: &str = "slots";
pub(super) const REGISTRY: &str = "registry";
pub(super) const MIRRORS: &str = "mirrors";
pub(super) const COMPONENTS: &str = "components";
/// The table of settings that apply to one node only: `[node.NAME.slots]`,
/// `[node.NAME.components.COMPONENT]`.
pub(super) const NODE: &str = "node";

/// An error in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The error.
    pub message: String,
}

/// A configuration file, read as far as possible.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    /// The valid values.
    pub partial: Partial,
    /// The errors, in the order of the file.
    pub findings: Vec<Finding>,
    /// Line and column of each value, by key.
    pub positions: BTreeMap<String, (usize, usize)>,
}

impl Document {
    /// Reads a text. Relative paths stay relative; `path` is used in origins. If the text isn't
    /// TOML, the only findings are its syntax errors.
    pub fn read(path: &Path, text: &str) -> Self {
        let mut reader = Reader { path, text, document: Self::default() };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().unwrap_or(0..0);
            reader.find(&at, error.message().trim().replace('\n', ", "));
        }
        if errors.is_empty() {
            reader.document(table.get_ref());
        }
        let mut document = reader.document;
        document.findings.sort();
        document
    }
}

impl Partial {
    /// Parses the text of a configuration file. Relative paths stay relative until the settings are
    /// resolved; `path` is used in origins and messages.
    ///
    /// # Errors
    /// The text isn't TOML, or has an unknown key or an invalid value. The error is the first of
    /// them.
    pub fn from_toml(path: &Path, text: &str) -> Result<Self, Error> {
        let document = Document::read(path, text);
        match document.findings.into_iter().next() {
            None => Ok(document.partial),
            Some(Finding { line, column, message: reason }) => {
                Err(Error::File(Located { path: path.to_owned(), line, column, reason }))
            }
        }
    }
}

/// Reads a configuration file; `None` if it doesn't exist.
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
    document: Document,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn document(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            match (name.get_ref().as_ref(), Id::of_key(name.get_ref())) {
                (_, Some(id)) => match id.setting().form().read(value.get_ref()) {
                    Ok(read) => self.put(Key::Plain(id), read, value),
                    Err(expected) => self.wrong_type(&Key::Plain(id), &expected.to_string(), value),
                },
                (SLOTS, _) => self.slots(None, value),
                (COMPONENTS, _) => self.components(None, value),
                (REGISTRY, _) => self.registry(value),
                (NODE, _) => self.nodes(value),
                (other, _) => {
                    let known = Id::ALL.iter().map(|id| id.setting().key());
                    let known = known.chain([SLOTS, COMPONENTS, REGISTRY, NODE]);
                    self.find(&name.span(), format!("unknown key `{other}`{}", nearest(other, known)));
                }
            }
        }
    }

    fn nodes(&mut self, value: &Value<'_>) {
        for (node, value) in self.table(NODE, value).into_iter().flatten() {
            let node = node.get_ref();
            for (name, value) in self.table(&format!("{NODE}.{node}"), value).into_iter().flatten() {
                match name.get_ref().as_ref() {
                    SLOTS => self.slots(Some(node), value),
                    COMPONENTS => self.components(Some(node), value),
                    other => {
                        let known = nearest(other, [SLOTS, COMPONENTS]);
                        self.find(&name.span(), format!("unknown key `{other}` of a node{known}"));
                    }
                }
            }
        }
    }

    fn slots(&mut self, node: Option<&str>, value: &Value<'_>) {
        for (role, component) in self.table(SLOTS, value).into_iter().flatten() {
            let role = role.get_ref();
            let key = Key::Slot(node.map_or_else(|| role.to_string(), |node| node_key(node, role)));
            match component.get_ref().as_str() {
                Some(text) => self.put(key, Read::Text(text.into()), component),
                None => self.wrong_type(&key, "a component's name in quotes", component),
            }
        }
    }

    fn components(&mut self, node: Option<&str>, value: &Value<'_>) {
        for (component, parameters) in self.table(COMPONENTS, value).into_iter().flatten() {
            let component = component.get_ref();
            let component = node.map_or_else(|| component.to_string(), |node| node_key(node, component));
            self.parameters(&component, parameters);
        }
    }

    fn registry(&mut self, value: &Value<'_>) {
        for (name, value) in self.table(REGISTRY, value).into_iter().flatten() {
            let name_text = name.get_ref();
            if name_text != MIRRORS {
                let known = nearest(name_text, [MIRRORS]);
                self.find(&name.span(), format!("unknown key `{name_text}` of `{REGISTRY}`{known}"));
                continue;
            }
            for (prefix, urls) in self.table(&format!("{REGISTRY}.{MIRRORS}"), value).into_iter().flatten() {
                let key = Key::Mirrors(prefix.get_ref().to_string());
                let read = match urls.get_ref() {
                    DeValue::String(url) => Some(Read::Text(url.to_string())),
                    DeValue::Array(urls) => texts_of(urls).map(Read::Items),
                    _ => None,
                };
                match read {
                    Some(read) => self.put(key, read, urls),
                    None => self.wrong_type(&key, "a list of URLs in quotes", urls),
                }
            }
        }
    }

    fn parameters(&mut self, component: &str, parameters: &Value<'_>) {
        for (name, value) in self.table(&format!("{COMPONENTS}.{component}"), parameters).into_iter().flatten() {
            let key = Key::Parameter(component.into(), name.get_ref().to_string());
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.as_str().into(),
                DeValue::Boolean(yes) => yes.to_string(),
                _ => {
                    self.wrong_type(&key, "text in quotes, a number, true or false", value);
                    continue;
                }
            };
            self.put(key, Read::Text(text), value);
        }
    }

    fn put(&mut self, key: Key, read: Read, value: &Value<'_>) {
        let position = position(self.text, value.span().start);
        let origin = Origin::File(self.path.to_owned(), position.0);
        self.document.positions.insert(key.to_string(), position);
        if let Err(reason) = self.document.partial.put_read(key, read, origin) {
            self.find(&value.span(), reason.to_string());
        }
    }

    fn table<'v, 't>(&mut self, name: &str, value: &'v Value<'t>) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.find(&value.span(), format!("`{name}` must be a table, not {}", kind(value)));
        }
        table
    }

    fn wrong_type(&mut self, key: &Key, expected: &str, value: &Value<'_>) {
        self.find(&value.span(), format!("`{key}` must be {expected}, not {}", kind(value)));
    }

    fn find(&mut self, at: &Range<usize>, message: String) {
        let (line, column) = position(self.text, at.start);
        self.document.findings.push(Finding { line, column, message });
    }
}

/// The type of a value, with its article.
fn kind(value: &Value<'_>) -> String {
    let name = value.get_ref().type_str();
    format!("{} {name}", if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}
