//! The macro that makes the types and the functions of settings of their table.

use super::kind::Kind;
use super::{Error, Origin};

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

/// What the three sorts of defaults mean: for the type of a field, for a value that nothing sets,
/// and for what is shown and saved.
macro_rules! per_sort {
    (type value $kind:ty) => { Value<$kind> };
    (type of_user $kind:ty) => { Value<$kind> };
    (type unset $kind:ty) => { Option<Value<$kind>> };

    (about value $text:expr) => { Standard::Value($text) };
    (about of_user $default:expr) => { Standard::OfUser };
    (about unset $words:expr) => { Standard::Unset($words) };

    (settle value $kind:ty, $text:expr, $found:expr, $defaults:expr) => {
        match $found { Some(value) => value, None => define::standard::<$kind>($text)? }
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

    (is_default value $kind:ty, $text:expr, $value:expr) => { define::is_default::<$kind>($text, $value) };
    (is_default of_user $kind:ty, $default:expr, $value:expr) => { false };
    (is_default unset $kind:ty, $words:expr, $value:expr) => { false };
}
pub(super) use per_sort;

/// Builds, of one entry for each setting: [`Id`], [`Settings`], [`Partial`], the table, and how
/// layers become settings.
///
/// An entry is `/// description`, the setting's name as a variant and as a field, its kind, its
/// default, and what else is [`Declared`]. A default is `value("TEXT")`, `of_user(FUNCTION)` of
/// [`Defaults`], or `unset("WORDS")` where the field is an `Option`.
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

        /// What one source sets: the flags, the environment or a file. Each field is as in
        /// [`Settings`]; `None` is not set.
        ///
        /// The flags of a command become one by [`Partial::put_flag`], and by
        /// [`Partial::with_sets`] for `--set`.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Partial {
            $( $(#[doc = $doc])+ pub $field: Option<Value<$kind>>, )+
            /// Registry -> URLs that are asked first.
            pub mirrors: BTreeMap<String, Vec<String>>,
            /// Role -> component.
            pub slots: BTreeMap<String, String>,
            /// Component -> parameter -> text.
            pub components: BTreeMap<String, BTreeMap<String, String>>,
            /// The cluster is created anew: the CIDR of an existing one with the same name doesn't
            /// bind.
            pub fresh: bool,
            /// The configuration file to read.
            pub config: Option<PathBuf>,
            /// Where values came from, by key. If it is missing, the value is of the setting's
            /// flag.
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
                        .map(define::to_toml::<$kind>)
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
