//! The macro that generates types and functions from the table of settings.

use super::kind::Kind;
use super::{Error, Origin};

/// The value of a kind.
pub(super) type Value<K> = <K as Kind>::Value;

/// Parses the default of a kind.
pub(super) fn parse_default<K: Kind>(text: &str) -> Result<K::Value, Error> {
    K::parse(text).map_err(|reason| Error::value(Origin::Default, reason))
}

/// Whether a value is the default of a kind, given the default's text.
pub(super) fn is_default<K: Kind>(text: &str, value: &K::Value) -> bool {
    K::parse(text).is_ok_and(|default| default == *value)
}

/// The value for a file.
pub(super) fn to_toml<K: Kind>(value: &K::Value) -> toml::Value {
    K::FORM.to_toml(K::show(value), K::items(value))
}

/// The code for the three sorts of defaults: a field's type, the value if no source has one, and
/// the shown and saved values.
macro_rules! per_sort {
    (type value $kind:ty) => { Value<$kind> };
    (type of_user $kind:ty) => { Value<$kind> };
    (type unset $kind:ty) => { Option<Value<$kind>> };

    (about value $text:expr) => { DefaultValue::Value($text) };
    (about of_user $default:expr) => { DefaultValue::OfUser };
    (about unset $words:expr) => { DefaultValue::Unset($words) };

    (resolve value $kind:ty, $text:expr, $found:expr, $defaults:expr) => {
        match $found { Some(value) => value, None => define::parse_default::<$kind>($text)? }
    };
    (resolve of_user $kind:ty, $default:expr, $found:expr, $defaults:expr) => {
        match $found { Some(value) => value, None => $default($defaults)? }
    };
    (resolve unset $kind:ty, $words:expr, $found:expr, $defaults:expr) => { $found };

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

/// Generates [`Id`], [`Settings`], [`Partial`], the table, and [`Resolver::settings`] from one
/// entry for each setting.
///
/// An entry is `/// description`, the setting's name as a variant and as a field, its kind, its
/// default, and its other properties ([`Declared`]). A default is `value("TEXT")`,
/// `of_user(FUNCTION)` of [`Defaults`], or `unset("WORDS")` for a field of type `Option`.
macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $id:ident $field:ident: $kind:ty = $sort:ident($default:expr) => $declared:expr; )+) => {
        /// A single setting. The order is that in which settings are shown.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id { $( $(#[doc = $doc])+ $id, )+ }

        impl Id {
            /// All settings.
            pub const ALL: &'static [Self] = &[$( Self::$id, )+];
        }

        /// The settings of a cluster.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Settings {
            $( $(#[doc = $doc])+ pub $field: per_sort!(type $sort $kind), )+
            /// Registry -> its mirrors, which are tried first, in this order.
            pub mirrors: BTreeMap<String, Vec<String>>,
            /// Role -> component. Only the slots that are set: the others have their default.
            pub slots: BTreeMap<String, String>,
            /// Component (or binary) -> parameter -> text. Paths of `binary` are absolute.
            pub components: BTreeMap<String, BTreeMap<String, String>>,
        }

        /// The settings of one source: flags, environment variables or a file. Each field is as in
        /// [`Settings`]; `None` means not set.
        ///
        /// Flags are added by [`Partial::put_flag`], and `--set` by [`Partial::with_sets`].
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Partial {
            $( $(#[doc = $doc])+ pub $field: Option<Value<$kind>>, )+
            /// Registry -> its mirrors, which are tried first.
            pub mirrors: BTreeMap<String, Vec<String>>,
            /// Role -> component.
            pub slots: BTreeMap<String, String>,
            /// Component -> parameter -> text.
            pub components: BTreeMap<String, BTreeMap<String, String>>,
            /// The cluster is created again: the CIDR of an existing cluster with the same name may
            /// differ.
            pub fresh: bool,
            /// The configuration file to read.
            pub config: Option<PathBuf>,
            /// The origins of values, by key. A value without an origin is that of the setting's
            /// flag.
            pub origins: BTreeMap<String, Origin>,
            /// Messages for the user that aren't errors.
            pub notes: Vec<String>,
        }

        impl Partial {
            /// Replaces the single settings that `other` sets.
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
            default_value: per_sort!(about $sort $default),
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

        impl Resolver {
            /// Resolves all settings of a cluster. Values in `decided` have precedence over all
            /// sources.
            pub(super) fn settings(&mut self, decided: Partial, defaults: &Defaults) -> Result<Settings, Error> {
                Ok(Settings {
                    $( $field: {
                        let found = match decided.$field {
                            Some(value) => Some(value),
                            None => self.accepted::<$kind>(Id::$id, |source| source.$field.clone())?,
                        };
                        per_sort!(resolve $sort $kind, $default, found, defaults)
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
