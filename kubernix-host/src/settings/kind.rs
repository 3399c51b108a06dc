//! The types of settings: how a value is read from text, shown, and written to `kubernix.toml`.

use super::form::Form;
use super::value::{self, WaitFor};
use crate::network::plan::parse_cidr;
use crate::network::{AddressPlan, Published, UplinkMode, publish};
use crate::placement::NodeBackend;
use ipnet::Ipv4Net;
use std::ffi::OsString;
use std::fmt::Display;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A type of settings. Flags, variables and files share its rules and messages.
pub trait Kind {
    /// The type of a parsed value.
    type Value: Clone + PartialEq;

    /// What a value may be, for files, schemas and completion.
    const FORM: Form;

    /// A value as text, other than every default.
    const EXAMPLE: &'static str;

    /// Reads a value.
    ///
    /// # Errors
    /// The text is no such value; the message quotes it.
    fn parse(text: &str) -> Result<Self::Value, String>;

    /// The value as text that [`Kind::parse`] reads.
    fn show(value: &Self::Value) -> String;

    /// Reads the arguments of a flag, or the items of a list in a file. Of several arguments, the
    /// last counts, unless the type is a list.
    ///
    /// # Errors
    /// As [`Kind::parse`]; or a word is not UTF-8.
    fn of_words(words: &[OsString]) -> Result<Self::Value, String> {
        let words = texts(words)?;
        Self::parse(words.last().copied().unwrap_or_default())
    }

    /// The items of a list; nothing for all other types.
    fn items(_value: &Self::Value) -> Vec<String> {
        Vec::new()
    }

    /// Makes relative paths absolute; `~/` is `home`.
    ///
    /// # Errors
    /// A path is empty or not UTF-8.
    fn make_absolute(_value: &mut Self::Value, _directory: &Path, _home: Option<&Path>) -> Result<(), String> {
        Ok(())
    }

    /// Checks what a parsed value must be to boot a cluster with it, and brings it into its final
    /// form.
    ///
    /// # Errors
    /// The value can't be used.
    fn accept(value: Self::Value) -> Result<Self::Value, String> {
        Ok(value)
    }
}

fn texts(words: &[OsString]) -> Result<Vec<&str>, String> {
    let text = |word: &'_ OsString| format!("`{}` is not UTF-8", word.display());
    words.iter().map(|word| word.to_str().ok_or_else(|| text(word))).collect()
}

/// A cluster's name.
pub struct Name;

impl Kind for Name {
    type Value = String;
    const FORM: Form = Form::Text { pattern: "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" };
    const EXAMPLE: &'static str = "dev";

    fn parse(text: &str) -> Result<String, String> {
        value::parse_name(text)
    }

    fn show(value: &String) -> String {
        value.clone()
    }

    fn accept(value: String) -> Result<String, String> {
        value::parse_name(&value)
    }
}

/// The path of a directory.
pub struct Directory;

impl Kind for Directory {
    type Value = PathBuf;
    const FORM: Form = Form::Path;
    const EXAMPLE: &'static str = "/srv/kubernix";

    fn parse(text: &str) -> Result<PathBuf, String> {
        Ok(text.into())
    }

    fn show(value: &PathBuf) -> String {
        value.to_string_lossy().into_owned()
    }

    fn of_words(words: &[OsString]) -> Result<PathBuf, String> {
        Ok(words.last().map(PathBuf::from).unwrap_or_default())
    }

    fn make_absolute(value: &mut PathBuf, directory: &Path, home: Option<&Path>) -> Result<(), String> {
        *value = value::absolute(value, directory, home)?;
        Ok(())
    }
}

/// A list of paths.
pub struct Paths;

impl Kind for Paths {
    type Value = Vec<PathBuf>;
    const FORM: Form = Form::List { of: "paths", pattern: ".", separator: ':' };
    const EXAMPLE: &'static str = "/srv/a.toml:/srv/b";

    fn parse(text: &str) -> Result<Vec<PathBuf>, String> {
        Ok(value::parse_paths(text))
    }

    fn show(value: &Vec<PathBuf>) -> String {
        value::show_paths(value)
    }

    fn of_words(words: &[OsString]) -> Result<Vec<PathBuf>, String> {
        Ok(words.iter().map(PathBuf::from).collect())
    }

    fn items(value: &Vec<PathBuf>) -> Vec<String> {
        value.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    fn make_absolute(value: &mut Vec<PathBuf>, directory: &Path, home: Option<&Path>) -> Result<(), String> {
        for path in value {
            *path = value::absolute(path, directory, home)?;
        }
        Ok(())
    }
}

/// The address range of a cluster.
pub struct Cidr;

impl Kind for Cidr {
    type Value = Ipv4Net;
    const FORM: Form = Form::Text { pattern: "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$" };
    const EXAMPLE: &'static str = "10.20.0.0/16";

    fn parse(text: &str) -> Result<Ipv4Net, String> {
        parse_cidr(text).map_err(|error| error.to_string())
    }

    fn show(value: &Ipv4Net) -> String {
        value.to_string()
    }

    fn accept(value: Ipv4Net) -> Result<Ipv4Net, String> {
        AddressPlan::new(value).map_err(|error| error.to_string())?;
        Ok(value)
    }
}

/// A TCP port.
pub struct Port;

impl Kind for Port {
    type Value = u16;
    const FORM: Form = Form::Number { min: 1, max: u16::MAX as u64 };
    const EXAMPLE: &'static str = "7000";

    fn parse(text: &str) -> Result<u16, String> {
        value::parse_port(text)
    }

    fn show(value: &u16) -> String {
        value.to_string()
    }
}

/// How many there are of something: 1 or more.
pub struct Count;

impl Kind for Count {
    type Value = u32;
    const FORM: Form = Form::Number { min: 1, max: u32::MAX as u64 };
    const EXAMPLE: &'static str = "3";

    fn parse(text: &str) -> Result<u32, String> {
        value::parse_count(text)
    }

    fn show(value: &u32) -> String {
        value.to_string()
    }
}

/// How many members a control plane has.
pub struct Members;

impl Kind for Members {
    type Value = u32;
    const FORM: Form = Form::Numbers(&["1", "3", "5", "7"]);
    const EXAMPLE: &'static str = "3";

    fn parse(text: &str) -> Result<u32, String> {
        value::parse_members(text)
    }

    fn show(value: &u32) -> String {
        value.to_string()
    }
}

/// A duration in whole seconds, at most a day.
pub struct Seconds;

impl Kind for Seconds {
    type Value = u64;
    const FORM: Form = Form::Number { min: 1, max: value::MAX_BOOT_TIMEOUT_S };
    const EXAMPLE: &'static str = "300";

    fn parse(text: &str) -> Result<u64, String> {
        value::parse_seconds(text)
    }

    fn show(value: &u64) -> String {
        value.to_string()
    }
}

/// Yes or no.
pub struct Bool;

impl Kind for Bool {
    type Value = bool;
    const FORM: Form = Form::Bool;
    const EXAMPLE: &'static str = "true";

    fn parse(text: &str) -> Result<bool, String> {
        value::parse_bool(text)
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// Published ports.
pub struct Publish;

impl Kind for Publish {
    type Value = Vec<Published>;
    const FORM: Form = Form::List { of: "HOST:NODEPORT", pattern: ":[0-9]+(/tcp|/udp)?$", separator: ',' };
    const EXAMPLE: &'static str = "127.0.0.1:8080:30080,[::1]:53:30053/udp";

    fn parse(text: &str) -> Result<Vec<Published>, String> {
        value::parse_published(text)
    }

    fn show(value: &Vec<Published>) -> String {
        value::show_published(value)
    }

    fn of_words(words: &[OsString]) -> Result<Vec<Published>, String> {
        value::parse_published(&texts(words)?.join(","))
    }

    fn items(value: &Vec<Published>) -> Vec<String> {
        value.iter().map(Published::to_string).collect()
    }

    fn accept(value: Vec<Published>) -> Result<Vec<Published>, String> {
        publish::distinct(value).map_err(|error| error.to_string())
    }
}

/// Names of addons.
pub struct Addons;

impl Kind for Addons {
    type Value = Vec<String>;
    const FORM: Form = Form::List { of: "names", pattern: "^[A-Za-z0-9_-]+$", separator: ',' };
    const EXAMPLE: &'static str = "coredns,metrics-server";

    fn parse(text: &str) -> Result<Vec<String>, String> {
        value::parse_addons(text)
    }

    fn show(value: &Vec<String>) -> String {
        value::show_addons(value)
    }

    fn of_words(words: &[OsString]) -> Result<Vec<String>, String> {
        match texts(words)?.as_slice() {
            [] => Ok(Vec::new()),
            names => value::parse_addons(&names.join(",")),
        }
    }

    fn items(value: &Vec<String>) -> Vec<String> {
        value.clone()
    }
}

/// One of a few words.
pub struct Choice<T>(PhantomData<T>);

/// The words of a [`Choice`].
pub trait Choices: FromStr<Err: Display> + Display + Clone + PartialEq {
    /// All of them.
    const WORDS: &'static [&'static str];
}

impl Choices for UplinkMode {
    const WORDS: &'static [&'static str] = &["auto", "always", "none"];
}

impl Choices for NodeBackend {
    const WORDS: &'static [&'static str] = &["namespaces", "podman"];
}

impl Choices for WaitFor {
    const WORDS: &'static [&'static str] = &["all", "node"];
}

impl<T: Choices> Kind for Choice<T> {
    type Value = T;
    const FORM: Form = Form::Choice(T::WORDS);
    const EXAMPLE: &'static str = T::WORDS[1];

    fn parse(text: &str) -> Result<T, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }

    fn show(value: &T) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_words<T: Choices>() {
        for word in T::WORDS {
            assert_eq!(T::from_str(word).ok().map(|value| value.to_string()), Some((*word).to_owned()));
        }
    }

    #[test]
    fn the_words_of_a_choice_are_what_it_reads_and_shows() {
        assert_words::<UplinkMode>();
        assert_words::<NodeBackend>();
        assert_words::<WaitFor>();
        assert_eq!(
            (UplinkMode::WORDS.len(), NodeBackend::WORDS.len()),
            (UplinkMode::ALL.len(), NodeBackend::ALL.len()),
            "a choice has no word"
        );
    }

    #[test]
    fn a_list_in_a_file_is_the_same_as_its_text() {
        let words = |texts: &[&str]| texts.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(Publish::of_words(&words(&["1:2", "3:4/udp"])), Publish::parse("1:2,3:4/udp"));
        assert_eq!(Addons::of_words(&words(&[])), Addons::parse("none"));
        assert_eq!(Paths::of_words(&words(&["/a", "/b c"])), Paths::parse("/a:/b c"));
        assert_eq!(Port::of_words(&words(&["1", "2"])), Ok(2), "the last one counts");
    }
}
