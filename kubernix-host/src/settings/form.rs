//! The valid values of a setting: the type in `kubernix.toml`, the JSON Schema, and the words for
//! completion.

use serde_json::{Value as Json, json};
use std::fmt;
use toml::Value as Toml;
use toml::de::{DeArray, DeValue};

/// The valid values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text that this regular expression matches.
    Text {
        /// The expression, of ECMA 262.
        pattern: &'static str,
    },
    /// A path.
    Path,
    /// `true` or `false`.
    Bool,
    /// An integer of this range.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// One of a few integers, as text.
    Numbers(&'static [&'static str]),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list in a file. In variables, it is one text.
    List {
        /// The items, for messages: `paths`.
        of: &'static str,
        /// The regular expression of an item, of ECMA 262.
        pattern: &'static str,
        /// The separator of items in a text.
        separator: char,
    },
}

/// A value of a file, before its setting parses it.
pub(super) enum Read {
    /// One text.
    Text(String),
    /// The items of a list.
    Items(Vec<String>),
}

/// The type that a value of a file must have. Prints as `a number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Number,
    Bool,
    Text,
    /// A list of these items.
    List(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("a number"),
            Self::Bool => f.write_str("true or false"),
            Self::Text => f.write_str("text in quotes"),
            Self::List(items) => write!(f, "a list of {items} in quotes"),
        }
    }
}

impl Form {
    /// All values as text, if they are few.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Bool => &["true", "false"],
            Self::Numbers(words) | Self::Choice(words) => words,
            Self::Text { .. } | Self::Path | Self::Number { .. } | Self::List { .. } => &[],
        }
    }

    /// Reads a value of a file.
    ///
    /// # Errors
    /// The value has another type than expected.
    pub(super) fn read(self, value: &DeValue<'_>) -> Result<Read, Expected> {
        match (self, value) {
            (Self::Number { .. } | Self::Numbers(_), DeValue::Integer(number)) => Ok(Read::Text(number.to_string())),
            (Self::Number { .. } | Self::Numbers(_), _) => Err(Expected::Number),
            (Self::Bool, DeValue::Boolean(value)) => Ok(Read::Text(value.to_string())),
            (Self::Bool, _) => Err(Expected::Bool),
            (Self::List { of, .. }, DeValue::Array(items)) => {
                texts_of(items).map(Read::Items).ok_or(Expected::List(of))
            }
            (_, DeValue::String(text)) => Ok(Read::Text(text.to_string())),
            _ => Err(Expected::Text),
        }
    }

    /// Converts a value to TOML. It is given as text and, for a list, as items.
    pub(super) fn to_toml(self, text: String, items: Vec<String>) -> Toml {
        match self {
            Self::Number { .. } | Self::Numbers(_) => text.parse().map_or(Toml::String(text), Toml::Integer),
            Self::Bool => text.parse().map_or(Toml::String(text), Toml::Boolean),
            Self::List { .. } => Toml::Array(items.into_iter().map(Toml::String).collect()),
            Self::Text { .. } | Self::Path | Self::Choice(_) => Toml::String(text),
        }
    }

    /// The JSON Schema of a value.
    pub(super) fn schema(self) -> Json {
        match self {
            Self::Text { pattern } => json!({ "type": "string", "pattern": pattern }),
            Self::Path => json!({ "type": "string", "minLength": 1 }),
            Self::Bool => json!({ "type": "boolean" }),
            Self::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Numbers(words) => {
                let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
                json!({ "type": "integer", "enum": numbers })
            }
            Self::Choice(words) => json!({ "type": "string", "enum": words }),
            Self::List { pattern, .. } => {
                let items = json!({ "type": "string", "pattern": pattern });
                json!({ "anyOf": [{ "type": "array", "items": items }, { "type": "string" }] })
            }
        }
    }

    /// Converts a value to JSON; `None` for lists.
    pub(super) fn json(self, text: &str) -> Option<Json> {
        match self {
            Self::Number { .. } | Self::Numbers(_) => text.parse::<u64>().ok().map(Json::from),
            Self::Bool => text.parse::<bool>().ok().map(Json::from),
            Self::Text { .. } | Self::Path | Self::Choice(_) => Some(text.into()),
            Self::List { .. } => None,
        }
    }
}

/// The texts of an array; `None` if an item has another type.
pub(super) fn texts_of(array: &DeArray<'_>) -> Option<Vec<String>> {
    array.iter().map(|text| text.get_ref().as_str().map(String::from)).collect()
}
