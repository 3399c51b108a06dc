//! What the table of settings says about each of them.

use super::form::{Form, Read};
use super::{Origin, Partial, Settings};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// What a value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It tells which cluster is meant. Never compared with saved settings.
    Identity,
    /// Each call of a command: not saved.
    Call,
    /// The sandbox or the host: saved, and changed only by a boot.
    Boot,
    /// The cluster: saved, and changed also while it runs.
    Cluster,
}

/// The flag of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Its arguments.
    pub takes: Takes,
    /// Its help.
    pub help: &'static str,
}

/// The arguments of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One value, of this name in the help.
    One(&'static str),
    /// One value each time; the flag can be repeated.
    Many(&'static str),
    /// `--flag=VALUE`, or `--flag` for a value of its own.
    Optional {
        /// The value's name in the help.
        name: &'static str,
        /// The value of the bare flag.
        bare: &'static str,
    },
    /// Nothing: the flag stands for this value.
    Nothing(&'static str),
}

/// What the table declares of a setting, apart from its type, its default and its description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    pub key: &'static str,
    pub scope: Scope,
    pub flag: Option<Flag>,
    pub is_global: bool,
    pub is_pinned: bool,
    pub is_of_host: bool,
    pub default: Option<&'static str>,
    pub document: Option<&'static str>,
}

/// Declares a setting: its name in `kubernix.toml`, and what it belongs to.
pub(super) const fn setting(key: &'static str, scope: Scope) -> Declared {
    Declared {
        key,
        scope,
        flag: None,
        is_global: false,
        is_pinned: false,
        is_of_host: false,
        default: None,
        document: None,
    }
}

impl Declared {
    /// A flag of the setting's name: `--port PORT`.
    pub const fn flag(self, value: &'static str, help: &'static str) -> Self {
        self.flag_of(self.key, Takes::One(value), help)
    }

    /// A flag of another name, or with other arguments.
    pub const fn flag_of(mut self, name: &'static str, takes: Takes, help: &'static str) -> Self {
        self.flag = Some(Flag { name, takes, help });
        self
    }

    /// Every command has the flag, not only those that boot.
    pub const fn global(mut self) -> Self {
        self.is_global = true;
        self
    }

    /// Saved also if it has the default value, because a later version may have another default.
    pub const fn pinned(mut self) -> Self {
        self.is_pinned = true;
        self
    }

    /// It takes ports of the host, so that a cluster made from this one can't have the same value.
    pub const fn of_host(mut self) -> Self {
        self.is_of_host = true;
        self
    }

    /// The default in the words of documents, if they differ from the value.
    pub const fn default(mut self, words: &'static str) -> Self {
        self.default = Some(words);
        self
    }

    /// The document that says more, relative to `docs/`.
    pub const fn document(mut self, link: &'static str) -> Self {
        self.document = Some(link);
        self
    }
}

/// What a setting is if nothing sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// This value, as text.
    Value(&'static str),
    /// No value. In words, what a cluster does then.
    Unset(&'static str),
    /// A value that depends on the user.
    OfUser,
}

/// What is done with a setting without its type being known.
pub(super) struct Operations {
    pub put: fn(&mut Partial, &str) -> Result<(), String>,
    pub put_words: fn(&mut Partial, &[OsString]) -> Result<(), String>,
    pub make_absolute: fn(&mut Partial, &Path, Option<&Path>) -> Result<(), String>,
    pub accept: fn(&Partial) -> Result<(), String>,
    pub show: fn(&Settings) -> String,
    /// The value that is saved; nothing if it is the default.
    pub save: fn(&Settings, is_pinned: bool) -> Option<toml::Value>,
}

/// A setting, as the table has it.
pub struct Setting {
    pub(super) declared: Declared,
    pub(super) about: &'static [&'static str],
    pub(super) form: Form,
    pub(super) example: &'static str,
    pub(super) standard: Standard,
    pub(super) operations: Operations,
}

impl Setting {
    /// Its name in `kubernix.toml`: `boot-timeout`.
    pub fn key(&self) -> &'static str {
        self.declared.key
    }

    /// What it is, in one or more sentences.
    pub fn about(&self) -> String {
        self.about.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// What its value may be.
    pub fn form(&self) -> Form {
        self.form
    }

    /// A value as text, other than the default.
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// What it is if nothing sets it.
    pub fn standard(&self) -> Standard {
        self.standard
    }

    /// Its flag; nothing if only variables and files set it.
    pub fn flag(&self) -> Option<Flag> {
        self.declared.flag
    }

    /// Whether every command has its flag, not only those that boot.
    pub fn is_global(&self) -> bool {
        self.declared.is_global
    }

    /// What its value belongs to.
    pub fn scope(&self) -> Scope {
        self.declared.scope
    }

    /// Whether it takes ports of the host, which only one cluster can have.
    pub fn is_of_host(&self) -> bool {
        self.declared.is_of_host
    }

    /// Its environment variable: `KUBERNIX_BOOT_TIMEOUT`.
    pub fn variable(&self) -> String {
        format!("KUBERNIX_{}", self.key().to_uppercase().replace('-', "_"))
    }

    /// Checks a value as text.
    ///
    /// # Errors
    /// The setting can't have this value; the message quotes it.
    pub fn check(&self, text: &str) -> Result<(), String> {
        (self.operations.put)(&mut Partial::default(), text)
    }

    /// The origin of a value that a flag gave.
    pub(super) fn origin(&self, value: &str) -> Origin {
        let name = match self.declared.flag {
            Some(Flag { takes: Takes::Nothing(means), .. }) if means != value => self.key(),
            Some(flag) => flag.name,
            None => self.key(),
        };
        Origin::Flag(format!("--{name}"))
    }

    /// How to set it on a command line: its flag or, if it has none, its variable.
    pub(super) fn advice(&self) -> String {
        self.declared.flag.map_or_else(|| format!("set {}", self.variable()), |flag| format!("give --{}", flag.name))
    }

    pub(super) fn put(&self, partial: &mut Partial, read: &Read) -> Result<(), String> {
        match read {
            Read::Text(text) => (self.operations.put)(partial, text),
            Read::Items(items) => {
                let words: Vec<OsString> = items.iter().map(OsString::from).collect();
                (self.operations.put_words)(partial, &words)
            }
        }
    }

    pub(super) fn save(&self, settings: &Settings) -> Option<toml::Value> {
        if self.declared.scope == Scope::Call {
            return None;
        }
        (self.operations.save)(settings, self.declared.is_pinned)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Setting").field(&self.key()).finish()
    }
}
