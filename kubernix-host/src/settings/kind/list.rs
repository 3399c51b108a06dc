//! Settings with a list of values.

use super::super::form::Form;
use super::super::value::{self, ValueError};
use super::{Kind, texts};
use crate::network::Published;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A list of paths.
pub struct Paths;

impl Kind for Paths {
    type Value = Vec<PathBuf>;
    const FORM: Form = Form::List { of: "paths", pattern: ".", separator: ':' };
    const EXAMPLE: &'static str = "/srv/a.toml:/srv/b";

    fn parse(text: &str) -> Result<Vec<PathBuf>, ValueError> {
        Ok(value::parse_paths(text))
    }

    fn show(value: &Vec<PathBuf>) -> String {
        value::show_paths(value)
    }

    fn of_words(words: &[OsString]) -> Result<Vec<PathBuf>, ValueError> {
        Ok(words.iter().map(PathBuf::from).collect())
    }

    fn items(value: &Vec<PathBuf>) -> Vec<String> {
        value.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    fn make_absolute(value: &mut Vec<PathBuf>, directory: &Path, home: Option<&Path>) -> Result<(), ValueError> {
        for path in value {
            *path = value::absolute(path, directory, home)?;
        }
        Ok(())
    }
}

/// Published ports.
pub struct Publish;

impl Kind for Publish {
    type Value = Vec<Published>;
    const FORM: Form = Form::List { of: "HOST:NODEPORT", pattern: ":[0-9]+(/tcp|/udp)?$", separator: ',' };
    const EXAMPLE: &'static str = "127.0.0.1:8080:30080,[::1]:53:30053/udp";

    fn parse(text: &str) -> Result<Vec<Published>, ValueError> {
        value::parse_published(text)
    }

    fn show(value: &Vec<Published>) -> String {
        value::show_published(value)
    }

    fn of_words(words: &[OsString]) -> Result<Vec<Published>, ValueError> {
        value::parse_published(&texts(words)?.join(","))
    }

    fn items(value: &Vec<Published>) -> Vec<String> {
        value.iter().map(Published::to_string).collect()
    }

    fn accept(value: Vec<Published>) -> Result<Vec<Published>, ValueError> {
        value::distinct_published(value)
    }
}

/// Names of addons.
pub struct Addons;

impl Kind for Addons {
    type Value = Vec<String>;
    const FORM: Form = Form::List { of: "names", pattern: "^[A-Za-z0-9_-]+$", separator: ',' };
    const EXAMPLE: &'static str = "coredns,metrics-server";

    fn parse(text: &str) -> Result<Vec<String>, ValueError> {
        value::parse_addons(text)
    }

    fn show(value: &Vec<String>) -> String {
        value::show_addons(value)
    }

    fn of_words(words: &[OsString]) -> Result<Vec<String>, ValueError> {
        match texts(words)?.as_slice() {
            [] => Ok(Vec::new()),
            names => value::parse_addons(&names.join(",")),
        }
    }

    fn items(value: &Vec<String>) -> Vec<String> {
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<OsString> {
        texts.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_list_in_a_file_equals_the_same_list_as_text() {
        let published = Publish::of_words(&words(&["1:2", "3:4/udp"])).unwrap();
        assert_eq!(published, Publish::parse("1:2,3:4/udp").unwrap());
        assert_eq!(Addons::of_words(&words(&[])).unwrap(), Addons::parse("none").unwrap());
        assert_eq!(Paths::of_words(&words(&["/a", "/b c"])).unwrap(), Paths::parse("/a:/b c").unwrap());
    }
}
