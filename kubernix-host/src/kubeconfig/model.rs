//! The parts of a kubeconfig that are read here.

use super::Error;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// The three lists of a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Cluster,
    User,
    Context,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Cluster, Self::User, Self::Context];

    /// The key of the list.
    pub fn list(self) -> &'static str {
        match self {
            Self::Cluster => "clusters",
            Self::User => "users",
            Self::Context => "contexts",
        }
    }

    /// The key of an entry's content.
    pub fn key(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::User => "user",
            Self::Context => "context",
        }
    }
}

/// The key of the current context.
pub(super) const CURRENT: &str = "current-context";

/// A kubeconfig, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Config {
    clusters: Option<Vec<Entry>>,
    users: Option<Vec<Entry>>,
    contexts: Option<Vec<Entry>>,
    pub current_context: Option<String>,
}

/// An entry of one of the lists. Of the three optional fields it has the one of its list.
#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Entry {
    pub name: String,
    cluster: Option<Fields>,
    user: Option<Fields>,
    context: Option<Fields>,
}

/// The fields that are read, of all kinds of entries.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Fields {
    pub server: Option<String>,
    pub certificate_authority_data: Option<String>,
    pub client_certificate_data: Option<String>,
    pub client_key_data: Option<String>,
    pub cluster: Option<String>,
    pub user: Option<String>,
}

impl Config {
    /// Parses the text of a kubeconfig. An empty text is a kubeconfig without entries.
    pub fn of(path: &Path, text: &str) -> Result<Self, Error> {
        Ok(parse::<Option<Self>>(path, text)?.unwrap_or_default())
    }

    fn list(&self, kind: Kind) -> &[Entry] {
        let list = match kind {
            Kind::Cluster => &self.clusters,
            Kind::User => &self.users,
            Kind::Context => &self.contexts,
        };
        list.as_deref().unwrap_or_default()
    }

    /// The names of all entries of a list.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.list(kind).iter().map(|entry| entry.name.as_str())
    }

    /// The index of the entry of this name in its list.
    pub fn position(&self, kind: Kind, name: &str) -> Option<usize> {
        self.list(kind).iter().position(|entry| entry.name == name)
    }

    /// The fields of an entry.
    pub fn fields(&self, kind: Kind, name: &str) -> Option<Fields> {
        let entry = self.list(kind).iter().find(|entry| entry.name == name)?;
        let fields = match kind {
            Kind::Cluster => &entry.cluster,
            Kind::User => &entry.user,
            Kind::Context => &entry.context,
        };
        Some(fields.clone().unwrap_or_default())
    }
}

/// Parses a text without checking that it is a kubeconfig.
pub(super) fn value(path: &Path, text: &str) -> Result<Value, Error> {
    parse(path, text)
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T, Error> {
    // Kubernetes reads YAML 1.1, where 0644 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        Error::Malformed { path: path.to_owned(), line, column, reason: reason(&error.to_string()) }
    })
}

/// The parser's message without its line and column: the error names them already.
fn reason(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let end = first.find(" at line ").unwrap_or(first.len());
    first[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Config {
        Config::of(Path::new("config"), text).unwrap()
    }

    fn rejected(text: &str) -> String {
        Config::of(Path::new("config"), text).unwrap_err().to_string()
    }

    #[test]
    fn missing_and_null_lists_are_empty() {
        for text in ["", "# only words\n", "---\n", "{}", "clusters:\nusers: null\ncontexts: []\n", "kind: Config"] {
            let config = of(text);
            assert!(Kind::ALL.iter().all(|kind| config.list(*kind).is_empty()), "{text}");
            assert_eq!(config.current_context, None);
        }
        let config = of("clusters:\n- name: a\n- {name: b, cluster: {server: x, more: [1]}}\ncurrent-context: ''");
        assert_eq!(config.position(Kind::Cluster, "b"), Some(1));
        assert_eq!(config.fields(Kind::Cluster, "a"), Some(Fields::default()));
        assert_eq!(config.fields(Kind::Cluster, "b").unwrap().server.as_deref(), Some("x"));
        assert_eq!((config.fields(Kind::User, "b"), config.current_context.as_deref()), (None, Some("")));
    }

    #[test]
    fn a_malformed_kubeconfig_is_rejected_with_line_and_column() {
        for (text, place) in [
            ("kind: Config\nclusters: [\n", "config:2:11"),
            ("kind: Config\nclusters: {}\n", "config:2:11"),
            ("clusters:\n- cluster: {}\n", "config:2:3"),
            ("clusters:\n- name: a\n  cluster: text\n", "config:3:12"),
            ("a: b\n\tc: d\n", "config:1:4"),
            ("- a\n", "config:1:1"),
            ("just words", "config:1:1"),
            ("users: []\nusers: []\n", "config:2:1"),
        ] {
            let error = rejected(text);
            assert!(error.starts_with(place) && error.contains(": not a kubeconfig: "), "{text}\n{error}");
        }
    }
}
