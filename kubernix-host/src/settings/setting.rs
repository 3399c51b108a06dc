//! What the table of settings says about each of them, and the macro that builds everything of it.

use super::form::{Form, Read};
use super::kind::Kind;
use super::{Error, Origin, Partial, Settings};
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

/// The value of a kind.
pub(super) type Value<K> = <K as Kind>::Value;

/// The default of a kind, of its text.
pub(super) fn standard<K: Kind>(text: &str) -> Result<K::Value, Error> {
    K::parse(text).map_err(|reason| Error::value(Origin::Default, reason))
}

/// Whether a value is the default of a kind, given the default's text.
pub(super) fn is_default<K: Kind>(text: &str, value: &K::Value) -> bool {
    K::parse(text).is_ok_and(|standard| standard == *value)
}

/// The value for a file.
pub(super) fn to_toml<K: Kind>(value: &K::Value) -> toml::Value {
    K::FORM.to_toml(K::show(value), K::items(value))
}

/// What the three sorts of defaults mean: for the type of a field, for a value that nothing sets, and for what is shown and
/// saved.
macro_rules! per_sort {
    (type value $kind:ty) => { Value<$kind> };
    (type of_user $kind:ty) => { Value<$kind> };
    (type unset $kind:ty) => { Option<Value<$kind>> };

    (about value $text:expr) => { Standard::Value($text) };
    (about of_user $default:expr) => { Standard::OfUser };
    (about unset $words:expr) => { Standard::Unset($words) };

    (settle value $kind:ty, $text:expr, $found:expr, $defaults:expr) => {
        match $found { Some(value) => value, None => setting::standard::<$kind>($text)? }
    };
    (settle of_user $kind:ty, $default:expr, $found:expr, $defaults:expr) => {
        match $found { Some(value) => value, None => $default($defaults)? }
    };
    (settle unset $kind:ty, $words:expr, $found:expr, $defaults:expr) => { $found };

    (given value $field:expr) => { Some(&$field) };
    (given of_user $field:expr) => { Some(&$field) };
    (given unset $field:expr) => { $field.as_ref() };

    (words value $text:expr) => { "" };
    (words of_user $default:expr) => { "" };
    (words unset $words:expr) => { $words };

    (is_default value $kind:ty, $text:expr, $value:expr) => { setting::is_default::<$kind>($text, $value) };
    (is_default of_user $kind:ty, $default:expr, $value:expr) => { false };
    (is_default unset $kind:ty, $words:expr, $value:expr) => { false };
}
pub(super) use per_sort;

/// Builds, of one entry for each setting: [`Id`], [`Settings`], [`Partial`], the table, and how layers become settings.
///
/// An entry is `/// description`, the setting's name as a variant and as a field, its kind, its default, and what else is
/// [`Declared`]. A default is `value("TEXT")`, `of_user(FUNCTION)` of [`Defaults`], or `unset("WORDS")` where the field is an
/// `Option`.
macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $id:ident $field:ident: $kind:ty = $sort:ident($default:expr) => $declared:expr; )+) => {
        /// A single setting. In the order in which settings are shown.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id { $( $(#[doc = $doc])+ $id, )+ }

        impl Id {
            /// All of them.
            pub const ALL: &'static [Self] = &[$( Self::$id, )+];
        }

        /// The settings of a cluster.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Settings {
            $( $(#[doc = $doc])+ pub $field: per_sort!(type $sort $kind), )+
            /// Registry -> URLs that are asked for its images first, in this order.
            pub mirrors: BTreeMap<String, Vec<String>>,
            /// Role -> component: the slots that are set. The others have their default.
            pub slots: BTreeMap<String, String>,
            /// Component (or binary) -> parameter -> text. Paths of `binary` are absolute.
            pub components: BTreeMap<String, BTreeMap<String, String>>,
        }

        /// What one source sets: the flags, the environment or a file. Each field is as in [`Settings`]; `None` is not set.
        ///
        /// The flags of a command become one by [`Partial::put_flag`], and by [`Partial::with_sets`] for `--set`.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Partial {
            $( $(#[doc = $doc])+ pub $field: Option<Value<$kind>>, )+
            /// Registry -> URLs that are asked first.
            pub mirrors: BTreeMap<String, Vec<String>>,
            /// Role -> component.
            pub slots: BTreeMap<String, String>,
            /// Component -> parameter -> text.
            pub components: BTreeMap<String, BTreeMap<String, String>>,
            /// The cluster is created anew: the CIDR of an existing one with the same name doesn't bind.
            pub fresh: bool,
            /// The configuration file to read.
            pub config: Option<PathBuf>,
            /// Where values came from, by key. If it is missing, the value is of the setting's flag.
            pub origins: BTreeMap<String, Origin>,
            /// What should be shown to the user, but is no error.
            pub notes: Vec<String>,
        }

        impl Partial {
            /// The same with the single settings that `other` sets.
            #[must_use]
            pub fn with(self, other: Self) -> Self {
                Self { $( $field: other.$field.or(self.$field), )+ ..self }
            }
        }

        static TABLE: [Setting; Id::ALL.len()] = [$( Setting {
            declared: $declared,
            about: &[$($doc),+],
            form: <$kind as Kind>::FORM,
            example: <$kind as Kind>::EXAMPLE,
            standard: per_sort!(about $sort $default),
            operations: Operations {
                put: |partial, text| {
                    partial.$field = Some(<$kind as Kind>::parse(text)?);
                    Ok(())
                },
                put_words: |partial, words| {
                    partial.$field = Some(<$kind as Kind>::of_words(words)?);
                    Ok(())
                },
                make_absolute: |partial, directory, home| {
                    let Some(value) = &mut partial.$field else { return Ok(()) };
                    <$kind as Kind>::make_absolute(value, directory, home)
                },
                accept: |partial| partial.$field.clone().map_or(Ok(()), |value| <$kind as Kind>::accept(value).map(drop)),
                show: |settings| {
                    let given: Option<&Value<$kind>> = per_sort!(given $sort settings.$field);
                    given.map_or_else(|| per_sort!(words $sort $default).into(), <$kind as Kind>::show)
                },
                save: |settings, is_pinned| {
                    let given: Option<&Value<$kind>> = per_sort!(given $sort settings.$field);
                    given
                        .filter(|_value| is_pinned || !per_sort!(is_default $sort $kind, $default, _value))
                        .map(setting::to_toml::<$kind>)
                },
            },
        }, )+];

        impl Settled {
            /// All settings of a cluster. What `decided` has isn't looked for in any source.
            pub(super) fn settings(&mut self, decided: Partial, defaults: &Defaults) -> Result<Settings, Error> {
                Ok(Settings {
                    $( $field: {
                        let found = match decided.$field {
                            Some(value) => Some(value),
                            None => self.accepted::<$kind>(Id::$id, |source| source.$field.clone())?,
                        };
                        per_sort!(settle $sort $kind, $default, found, defaults)
                    }, )+
                    mirrors: self.mirrors(),
                    slots: self.slots(),
                    components: self.components(),
                })
            }
        }
    };
}
pub(super) use settings;
