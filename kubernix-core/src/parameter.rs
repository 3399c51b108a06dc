//! The parameters of a component with their valid values, and the binaries it runs.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// The valid values of a parameter. The host checks a value before a component gets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ParameterKind {
    /// Any text.
    #[default]
    Text,
    /// One of these words.
    Choice(Vec<String>),
    /// A decimal number in this range, both ends included.
    Number(i64, i64),
    /// `true` or `false`.
    Flag,
    /// An absolute path.
    Path,
    /// Words separated by white space, quoted as in a POSIX shell.
    Words,
}

impl ParameterKind {
    /// The valid values, if they can be listed.
    pub fn values(&self) -> Vec<&str> {
        match self {
            Self::Choice(words) => words.iter().map(String::as_str).collect(),
            Self::Flag => vec!["true", "false"],
            _ => Vec::new(),
        }
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Choice(_) | Self::Flag => self.values().contains(&text),
            Self::Number(min, max) => text.parse().is_ok_and(|number: i64| (*min..=*max).contains(&number)),
            Self::Path => text.starts_with('/') && !text.contains('\0'),
            Self::Words => words(text).is_ok(),
        }
    }
}

/// Completes a sentence that begins with 'use': `one of debug, info`.
impl fmt::Display for ParameterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.pad("any text"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Number(min, max) => write!(f, "a number from {min} to {max}"),
            Self::Flag => f.pad("true or false"),
            Self::Path => f.pad("an absolute path"),
            Self::Words => f.pad("words separated by spaces, with every quote closed"),
        }
    }
}

/// A parameter that a component reads from the settings: `--set COMPONENT.NAME=VALUE`.
///
/// `binary` needs no declaration: it replaces the first of the component's `binaries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parameter {
    /// The name, lower case with dashes.
    pub name: String,
    /// What it does, in one line.
    pub help: String,
    /// The default value, as text. If it is empty, an empty value is valid as well.
    pub default: String,
    /// The valid values.
    #[serde(default)]
    pub kind: ParameterKind,
    /// Options of later versions of the contract, see [`Parameter::option`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

impl Parameter {
    /// A parameter with its default and its help. Any text is valid unless another method restricts
    /// it.
    pub fn new(name: impl Into<String>, default: impl Into<String>, help: impl Into<String>) -> Self {
        let (kind, options) = (ParameterKind::Text, BTreeMap::new());
        Self { name: name.into(), help: help.into(), default: default.into(), kind, options }
    }

    /// Accepts one of these words.
    #[must_use]
    pub fn choice(mut self, words: &[&str]) -> Self {
        self.kind = ParameterKind::Choice(words.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// Accepts a decimal number in this range.
    #[must_use]
    pub fn number(mut self, range: RangeInclusive<i64>) -> Self {
        self.kind = ParameterKind::Number(*range.start(), *range.end());
        self
    }

    /// Accepts `true` or `false`, see [`Context::flag`](crate::Context::flag).
    #[must_use]
    pub fn flag(mut self) -> Self {
        self.kind = ParameterKind::Flag;
        self
    }

    /// Accepts an absolute path.
    #[must_use]
    pub fn path(mut self) -> Self {
        self.kind = ParameterKind::Path;
        self
    }

    /// Accepts words, such as further arguments of a program: `--a=1 '--b=two words'`. See
    /// [`Context::words`](crate::Context::words).
    #[must_use]
    pub fn words(mut self) -> Self {
        self.kind = ParameterKind::Words;
        self
    }

    /// Sets an option of a later version of the contract. A host rejects the component if it
    /// doesn't know the option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Checks a value.
    ///
    /// # Errors
    /// It isn't valid; the error describes the valid values.
    pub fn check(&self, text: &str) -> Result<()> {
        if text.is_empty() && self.default.is_empty() || self.kind.fits(text) {
            return Ok(());
        }
        Err(Error::invalid(format!("parameter `{}` is `{text}`: use {}", self.name, self.kind)))
    }
}

/// Splits a text into words, separated by white space and quoted as in a POSIX shell.
pub(crate) fn words(text: &str) -> Result<Vec<String>> {
    shlex::split(text).ok_or_else(|| Error::invalid(format!("a quote or backslash in `{text}` isn't closed")))
}

/// A binary that a component runs.
///
/// In TOML and JSON it is the name of the tool, or `{ parameter = "NAME" }`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "BinaryForm", into = "BinaryForm")]
pub enum Binary {
    /// The tool of this name in the toolchain.
    Tool(String),
    /// The value of this parameter: a tool or an absolute path. The host checks its version if it
    /// is a tool, or has the file name of one.
    FromParameter(String),
}

impl Binary {
    /// The binary named by the value of a parameter.
    pub fn from_parameter(name: impl Into<String>) -> Self {
        Self::FromParameter(name.into())
    }

    /// The name of the tool; `None` if a parameter names it.
    pub fn tool(&self) -> Option<&str> {
        match self {
            Self::Tool(name) => Some(name),
            Self::FromParameter(_) => None,
        }
    }
}

impl From<&str> for Binary {
    fn from(tool: &str) -> Self {
        Self::Tool(tool.to_owned())
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(name) => f.pad(name),
            Self::FromParameter(name) => write!(f, "the value of parameter {name}"),
        }
    }
}

/// The serialized form of a [`Binary`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum BinaryForm {
    Tool(String),
    FromParameter { parameter: String },
}

impl From<BinaryForm> for Binary {
    fn from(form: BinaryForm) -> Self {
        match form {
            BinaryForm::Tool(name) => Self::Tool(name),
            BinaryForm::FromParameter { parameter } => Self::FromParameter(parameter),
        }
    }
}

impl From<Binary> for BinaryForm {
    fn from(binary: Binary) -> Self {
        match binary {
            Binary::Tool(name) => Self::Tool(name),
            Binary::FromParameter(parameter) => Self::FromParameter { parameter },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(default: &str) -> Parameter {
        Parameter::new("x", default, "")
    }

    #[test]
    fn each_kind_accepts_its_values_and_rejects_others() {
        let cases: [(Parameter, &[&str], &[&str]); 6] = [
            (parameter("a"), &["", "b c"], &[]),
            (parameter("a").choice(&["a", "b"]), &["a", "b"], &["", "c", "A"]),
            (parameter("1").number(0..=10), &["0", "10"], &["", "-1", "11", "1.0", "x"]),
            (parameter("true").flag(), &["true", "false"], &["", "yes", "1"]),
            (parameter("/a").path(), &["/", "/b/c"], &["", "b", "./b"]),
            (parameter("a").words(), &["", "--a 'b c'"], &["'b", "\"b"]),
        ];
        for (parameter, good, bad) in cases {
            for text in good {
                assert!(parameter.check(text).is_ok(), "{text:?} {parameter:?}");
            }
            for text in bad {
                assert!(parameter.check(text).is_err(), "{text:?} {parameter:?}");
            }
        }
    }

    #[test]
    fn an_error_names_the_parameter_its_value_and_the_valid_values() {
        let error = |parameter: Parameter| parameter.check("?").unwrap_err().to_string();
        assert_eq!(error(parameter("a").choice(&["a", "b"])), "parameter `x` is `?`: use one of a, b");
        assert_eq!(error(parameter("1").number(-1..=2)), "parameter `x` is `?`: use a number from -1 to 2");
    }

    #[test]
    fn an_empty_default_makes_a_value_optional() {
        assert!(parameter("").number(1..=2).check("").is_ok());
        assert!(parameter("1").number(1..=2).check("").is_err());
    }

    #[test]
    fn words_are_split_and_quoted_as_in_a_shell() {
        assert_eq!(
            words(r#" --a=1  '--b=two words' "c \"d\"" e\ f "#).unwrap(),
            ["--a=1", "--b=two words", "c \"d\"", "e f"]
        );
        assert!(words("'open").unwrap_err().to_string().contains("isn't closed"));
    }
}
