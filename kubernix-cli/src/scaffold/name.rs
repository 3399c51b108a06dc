//! Checks that a name is valid for a component, its crate and its library.

use super::{CONTRACT, Placeholders};
use crate::exit::{Exit, Refusal};
use anyhow::Result;
use kubernix_host::settings::NONE;

/// Names that a crate can't have: Rust's keywords, reserved keywords, and its own crates.
const RESERVED: [&str; 3] = [
    "abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn for gen",
    "if impl in let loop macro match mod move mut override priv proc-macro pub ref return self static std struct super test",
    "trait true try type typeof unsafe unsized use virtual where while yield",
];
/// Types that the templates use, and those of Rust's prelude.
const USED: &str = "Box Command Component Context Err Error ErrorKind Handle Layout None Ok Option Parameter Phase Planner Probe \
    Process Requirement Result Role Scope Self Some String Vec";

/// A checked name.
pub(super) struct Name(String);

impl Name {
    /// Checks a name. `reserved`: the names of other components and crates.
    pub(super) fn parse(text: &str, reserved: &[&str]) -> Result<Self> {
        let refuse = |why: &str| Err(Refusal::error(Exit::Usage, format!("`{text}` can't be a plugin's name: {why}")));
        if !kubernix_core::is_name(text) {
            return refuse("use at most 63 of a-z, 0-9 and -, with a - only inside");
        }
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return refuse("a crate's name begins with a letter");
        }
        if RESERVED.iter().flat_map(|line| line.split_whitespace()).any(|word| word == text) {
            return refuse("it is a reserved word of Rust");
        }
        if text == NONE {
            return refuse("it is the value of an empty slot");
        }
        let packed = CONTRACT.iter().any(|(path, _)| path.split('/').next() == Some(text));
        if packed || reserved.contains(&text) {
            return refuse("KuberNix uses that name already");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name itself.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The name as an identifier of Rust and in file names of libraries.
    pub(super) fn ident(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The name as a type: `my-cri` is `MyCri`.
    fn type_name(&self) -> String {
        let word = |word: &str| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        };
        let name: String = self.0.split('-').map(word).collect();
        if USED.split_whitespace().any(|word| word == name) { format!("{name}Component") } else { name }
    }

    pub(super) fn placeholders(&self) -> Placeholders {
        vec![("__NAME__", self.0.clone()), ("__LIB__", self.ident()), ("__TYPE__", self.type_name())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = Name::parse(text, &["crio"]).err().map(|error| {
            assert_eq!(Exit::of(&error), Exit::Usage);
            error.to_string()
        });
        error.unwrap_or_else(|| panic!("{text} was accepted"))
    }

    #[test]
    fn valid_names_become_identifiers_and_types() {
        for (text, ident, type_name) in [
            ("hello", "hello", "Hello"),
            ("my-cri", "my_cri", "MyCri"),
            ("x2-9z", "x2_9z", "X29z"),
            ("a--b", "a__b", "AB"),
        ] {
            let name = Name::parse(text, &[]).unwrap();
            assert_eq!((name.ident().as_str(), name.type_name().as_str()), (ident, type_name));
        }
        assert_eq!(Name::parse("context", &[]).unwrap().type_name(), "ContextComponent");
    }

    #[test]
    fn invalid_names_are_rejected_with_the_reason() {
        for (text, why) in [
            ("", "`` can't be a plugin's name: use at most 63"),
            ("My_Cri", "a-z, 0-9 and -"),
            ("../x", "a-z, 0-9 and -"),
            ("-x", "a - only inside"),
            ("9p", "begins with a letter"),
            ("impl", "a reserved word of Rust"),
            ("gen", "a reserved word of Rust"),
            ("test", "a reserved word of Rust"),
            ("none", "an empty slot"),
            ("kubernix-core", "KuberNix uses that name already"),
            ("crio", "KuberNix uses that name already"),
        ] {
            let error = refused(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
