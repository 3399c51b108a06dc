//! The types of settings: how a value is parsed, shown, and written to `kubernix.toml`.

mod choice;
mod list;

pub use choice::Choice;
pub use list::{Addons, Paths, Publish};

use super::form::Form;
use super::value::{self, ValueError};
use crate::network::AddressPlan;
use crate::network::plan::parse_cidr;
use ipnet::Ipv4Net;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A type of settings. Flags, variables and files share its rules and messages.
pub trait Kind {
    /// The type of a parsed value.
    type Value: Clone + PartialEq;

    /// The valid values, for files, schemas and completion.
    const FORM: Form;

    /// A value as text, other than every default.
    const EXAMPLE: &'static str;

    /// Parses a value.
    ///
    /// # Errors
    /// The text isn't valid.
    fn parse(text: &str) -> Result<Self::Value, ValueError>;

    /// The value as text that [`Kind::parse`] reads.
    fn show(value: &Self::Value) -> String;

    /// Parses the arguments of a flag, or the items of a list in a file. The last argument counts,
    /// unless the type is a list.
    ///
    /// # Errors
    /// A word isn't valid, or isn't UTF-8.
    fn of_words(words: &[OsString]) -> Result<Self::Value, ValueError> {
        let words = texts(words)?;
        Self::parse(words.last().copied().unwrap_or_default())
    }

    /// The items of a list; empty for all other types.
    fn items(_value: &Self::Value) -> Vec<String> {
        Vec::new()
    }

    /// Makes relative paths absolute; `~/` is `home`.
    ///
    /// # Errors
    /// A path is empty or not UTF-8.
    fn make_absolute(_value: &mut Self::Value, _directory: &Path, _home: Option<&Path>) -> Result<(), ValueError> {
        Ok(())
    }

    /// Checks a parsed value before a boot, and converts it to its final form.
    ///
    /// # Errors
    /// The value can't be used.
    fn accept(value: Self::Value) -> Result<Self::Value, ValueError> {
        Ok(value)
    }
}

fn texts(words: &[OsString]) -> Result<Vec<&str>, ValueError> {
    words.iter().map(|word| word.to_str().ok_or_else(|| ValueError::NotUtf8(word.clone()))).collect()
}

/// A cluster's name.
pub struct Name;

impl Kind for Name {
    type Value = String;
    const FORM: Form = Form::Text { pattern: "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" };
    const EXAMPLE: &'static str = "dev";

    fn parse(text: &str) -> Result<String, ValueError> {
        value::parse_name(text)
    }

    fn show(value: &String) -> String {
        value.clone()
    }

    fn accept(value: String) -> Result<String, ValueError> {
        value::parse_name(&value)
    }
}

/// The path of a directory.
pub struct Directory;

impl Kind for Directory {
    type Value = PathBuf;
    const FORM: Form = Form::Path;
    const EXAMPLE: &'static str = "/srv/kubernix";

    fn parse(text: &str) -> Result<PathBuf, ValueError> {
        Ok(text.into())
    }

    fn show(value: &PathBuf) -> String {
        value.to_string_lossy().into_owned()
    }

    fn of_words(words: &[OsString]) -> Result<PathBuf, ValueError> {
        Ok(words.last().map(PathBuf::from).unwrap_or_default())
    }

    fn make_absolute(value: &mut PathBuf, directory: &Path, home: Option<&Path>) -> Result<(), ValueError> {
        *value = value::absolute(value, directory, home)?;
        Ok(())
    }
}

/// The address range of a cluster.
pub struct Cidr;

impl Kind for Cidr {
    type Value = Ipv4Net;
    const FORM: Form = Form::Text { pattern: "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$" };
    const EXAMPLE: &'static str = "10.20.0.0/16";

    fn parse(text: &str) -> Result<Ipv4Net, ValueError> {
        Ok(parse_cidr(text)?)
    }

    fn show(value: &Ipv4Net) -> String {
        value.to_string()
    }

    fn accept(value: Ipv4Net) -> Result<Ipv4Net, ValueError> {
        AddressPlan::new(value)?;
        Ok(value)
    }
}

/// A TCP port.
pub struct Port;

impl Kind for Port {
    type Value = u16;
    const FORM: Form = Form::Number { min: 1, max: u16::MAX as u64 };
    const EXAMPLE: &'static str = "7000";

    fn parse(text: &str) -> Result<u16, ValueError> {
        value::parse_port(text)
    }

    fn show(value: &u16) -> String {
        value.to_string()
    }
}

/// A number of at least 1.
pub struct Count;

impl Kind for Count {
    type Value = u32;
    const FORM: Form = Form::Number { min: 1, max: u32::MAX as u64 };
    const EXAMPLE: &'static str = "3";

    fn parse(text: &str) -> Result<u32, ValueError> {
        value::parse_count(text)
    }

    fn show(value: &u32) -> String {
        value.to_string()
    }
}

/// The number of members of a control plane.
pub struct Members;

impl Kind for Members {
    type Value = u32;
    const FORM: Form = Form::Numbers(&["1", "3", "5", "7"]);
    const EXAMPLE: &'static str = "3";

    fn parse(text: &str) -> Result<u32, ValueError> {
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
    const EXAMPLE: &'static str = "450";

    fn parse(text: &str) -> Result<u64, ValueError> {
        value::parse_seconds(text)
    }

    fn show(value: &u64) -> String {
        value.to_string()
    }
}

/// A truth value.
pub struct Bool;

impl Kind for Bool {
    type Value = bool;
    const FORM: Form = Form::Bool;
    const EXAMPLE: &'static str = "true";

    fn parse(text: &str) -> Result<bool, ValueError> {
        value::parse_bool(text)
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_argument_of_a_single_value_counts() {
        let words = ["1", "2"].map(OsString::from);
        assert_eq!(Port::of_words(&words).unwrap(), 2);
    }
}
