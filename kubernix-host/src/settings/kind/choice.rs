//! Settings with a few possible words.

use super::super::form::Form;
use super::super::value::{ValueError, WaitFor};
use super::Kind;
use crate::network::UplinkMode;
use crate::placement::NodeBackend;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

/// One of a few words.
pub struct Choice<T>(PhantomData<T>);

/// The words of a [`Choice`].
pub trait Choices: FromStr<Err: Display> + Display + Clone + PartialEq {
    /// All words.
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

    fn parse(text: &str) -> Result<T, ValueError> {
        text.parse().map_err(|error: T::Err| ValueError::parse(error))
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
    fn a_choice_parses_and_shows_each_of_its_words() {
        assert_words::<UplinkMode>();
        assert_words::<NodeBackend>();
        assert_words::<WaitFor>();
        assert_eq!(
            (UplinkMode::WORDS.len(), NodeBackend::WORDS.len()),
            (UplinkMode::ALL.len(), NodeBackend::ALL.len()),
            "a value has no word"
        );
    }
}
