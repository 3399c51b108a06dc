//! An entry of the table of settings.

use super::form::{Form, Read};
use super::value::ValueError;
use super::{Origin, Partial, Settings};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It identifies the cluster. Never compared with saved settings.
    Identity,
    /// A single call of a command. Not saved.
    Call,
    /// The sandbox or the host. Saved, and changed only by a boot.
    Boot,
    /// The cluster. Saved, and can change while the cluster runs.
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
    /// `--flag=VALUE`, or `--flag` for a fixed value.
    Optional {
        /// The value's name in the help.
        name: &'static str,
        /// The value of the bare flag.
        bare: &'static str,
    },
    /// No value: the flag stands for this one.
    Nothing(&'static str),
}

/// The properties of a setting besides its type, its default and its description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    pub key: &'static str,
    pub scope: Scope,
    pub flag: Option<Flag>,
    pub is_global: bool,
    pub is_pinned: bool,
    pub uses_host_ports: bool,
    pub default_words: Option<&'static str>,
    pub document: Option<&'static str>,
}

/// Declares a setting by its name in `kubernix.toml` and its scope.
pub(super) const fn setting(key: &'static str, scope: Scope) -> Declared {
    Declared {
        key,
        scope,
        flag: None,
        is_global: false,
        is_pinned: false,
        uses_host_ports: false,
        default_words: None,
        document: None,
    }
}

impl Declared {
    /// Adds a flag with the setting's name: `--port PORT`.
    pub const fn flag(self, value: &'static str, help: &'static str) -> Self {
        self.flag_of(self.key, Takes::One(value), help)
    }

    /// Adds a flag with another name or other arguments.
    pub const fn flag_of(mut self, name: &'static str, takes: Takes, help: &'static str) -> Self {
        self.flag = Some(Flag { name, takes, help });
        self
    }

    /// Adds the flag to every command, not only to those that boot.
    pub const fn global(mut self) -> Self {
        self.is_global = true;
        self
    }

    /// Saves the setting even if it has the default value, because a later version may have another
    /// default.
    pub const fn pinned(mut self) -> Self {
        self.is_pinned = true;
        self
    }

    /// The setting takes ports of the host, so a cluster that is created from this one can't have
    /// the same value.
    pub const fn host_ports(mut self) -> Self {
        self.uses_host_ports = true;
        self
    }

    /// The default as documents describe it, if that differs from the value.
    pub const fn default(mut self, words: &'static str) -> Self {
        self.default_words = Some(words);
        self
    }

    /// Links to a document, relative to `docs/`.
    pub const fn document(mut self, link: &'static str) -> Self {
        self.document = Some(link);
        self
    }
}

/// The default of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value, as text.
    Value(&'static str),
    /// No value. The text describes the effect.
    Unset(&'static str),
    /// A value that depends on the user.
    OfUser,
}

/// The operations of a setting, independent of its type.
pub(super) struct Operations {
    pub put: fn(&mut Partial, &str) -> Result<(), ValueError>,
    pub put_words: fn(&mut Partial, &[OsString]) -> Result<(), ValueError>,
    pub make_absolute: fn(&mut Partial, &Path, Option<&Path>) -> Result<(), ValueError>,
    pub accept: fn(&Partial) -> Result<(), ValueError>,
    pub show: fn(&Settings) -> String,
    /// The value to save; `None` for the default.
    pub save: fn(&Settings, is_pinned: bool) -> Option<toml::Value>,
}

/// An entry of the table of settings.
pub struct Setting {
    pub(super) declared: Declared,
    pub(super) about: &'static [&'static str],
    pub(super) form: Form,
    pub(super) example: &'static str,
    pub(super) default_value: DefaultValue,
    pub(super) operations: Operations,
}

impl Setting {
    /// Its name in `kubernix.toml`: `boot-timeout`.
    pub fn key(&self) -> &'static str {
        self.declared.key
    }

    /// Its description, in one or more sentences.
    pub fn about(&self) -> String {
        self.about.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Its valid values.
    pub fn form(&self) -> Form {
        self.form
    }

    /// A value as text, other than the default.
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// Its default.
    pub fn default_value(&self) -> DefaultValue {
        self.default_value
    }

    /// Its default in words, in Markdown. Empty if there is nothing to say.
    pub fn default_text(&self) -> String {
        match (self.declared.default_words, self.default_value) {
            (Some(words), _) | (None, DefaultValue::Unset(words)) => words.to_owned(),
            (None, DefaultValue::Value("") | DefaultValue::OfUser) => String::new(),
            (None, DefaultValue::Value(text)) => format!("`{text}`"),
        }
    }

    /// The help of its flag, with the default if the flag takes a value.
    pub fn help(&self) -> Option<String> {
        let flag = self.declared.flag?;
        let default = self.default_text().replace('`', "");
        Some(match flag.takes {
            Takes::One(_) if !default.is_empty() => format!("{} [default: {default}]", flag.help),
            _ => flag.help.to_owned(),
        })
    }

    /// Its flag; `None` if only variables and files set it.
    pub fn flag(&self) -> Option<Flag> {
        self.declared.flag
    }

    /// Whether every command has its flag, not only those that boot.
    pub fn is_global(&self) -> bool {
        self.declared.is_global
    }

    /// What it belongs to.
    pub fn scope(&self) -> Scope {
        self.declared.scope
    }

    /// Whether it takes ports of the host, which only one cluster can have.
    pub fn uses_host_ports(&self) -> bool {
        self.declared.uses_host_ports
    }

    /// Its environment variable: `KUBERNIX_BOOT_TIMEOUT`.
    pub fn variable(&self) -> String {
        format!("KUBERNIX_{}", self.key().to_uppercase().replace('-', "_"))
    }

    /// Checks a value as text.
    ///
    /// # Errors
    /// The value isn't valid. The message quotes it.
    pub fn check(&self, text: &str) -> Result<(), ValueError> {
        (self.operations.put)(&mut Partial::default(), text)
    }

    /// The origin of a value that a flag gave.
    pub(super) fn origin(&self, value: &str) -> Origin {
        let name = match self.declared.flag {
            Some(Flag { takes: Takes::Nothing(flag_value), .. }) if flag_value != value => self.key(),
            Some(flag) => flag.name,
            None => self.key(),
        };
        Origin::Flag(format!("--{name}"))
    }

    /// The advice how to set it on a command line: its flag or, if it has none, its variable.
    pub(super) fn advice(&self) -> String {
        self.declared.flag.map_or_else(|| format!("set {}", self.variable()), |flag| format!("give --{}", flag.name))
    }

    pub(super) fn put(&self, partial: &mut Partial, read: &Read) -> Result<(), ValueError> {
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
