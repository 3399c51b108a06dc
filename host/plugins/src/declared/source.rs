//! Positions in a component file: where a part of a value is in the raw text.
//!
//! The span of a TOML value covers the literal as it is written. A position inside of the value is
//! computed from it, past escapes, line-ending backslashes and opening quotes.

use super::Error;
use kubernix_toolchain::text::{Located, position};
use std::ops::Range;
use std::path::PathBuf;

/// A component file's text and path.
#[derive(Debug)]
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// An error at a byte of the text.
    pub fn error(&self, byte: usize, reason: impl ToString) -> Error {
        Located::new(&self.path, &self.text, byte, reason).into()
    }

    /// The position of a byte of the text. It doesn't include the file: errors of a plan name the
    /// component and its file already.
    pub fn describe(&self, byte: usize) -> String {
        let (line, column) = position(&self.text, byte);
        format!("line {line}, column {column}")
    }

    /// The byte of the text where byte `at` of a string value is, given the literal's span.
    pub fn byte_of(&self, span: &Range<usize>, value: &str, at: usize) -> usize {
        let literal = self.text.get(span.clone()).unwrap_or_default();
        let before = value.get(..at).unwrap_or(value).chars().count();
        span.start + raw_offset(literal, before)
    }
}

/// The byte of a TOML string literal, quotes included, where the character of this index of its
/// value is.
fn raw_offset(literal: &str, characters: usize) -> usize {
    let basic = literal.starts_with('"');
    let multi = literal.starts_with("\"\"\"") || literal.starts_with("'''");
    let mut at = if multi { 3 } else { 1 };
    if multi {
        // A line end right after the opening quotes isn't part of the value.
        at += line_end(literal.get(at..).unwrap_or_default());
    }
    for _ in 0..characters {
        if basic {
            at += skipped(&literal[at..]);
        }
        at += width(&literal[at..], basic);
    }
    at + if basic { skipped(literal.get(at..).unwrap_or_default()) } else { 0 }
}

/// The length of a line end at the start, in bytes.
fn line_end(text: &str) -> usize {
    ["\r\n", "\n"].iter().find(|end| text.starts_with(**end)).map_or(0, |end| end.len())
}

/// The length of line-ending backslashes at the start, each with all white space up to the next
/// character. They aren't part of the value.
fn skipped(text: &str) -> usize {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('\\') {
        let line = after.trim_start_matches([' ', '\t']);
        if line_end(line) == 0 {
            break;
        }
        rest = line.trim_start_matches([' ', '\t', '\r', '\n']);
    }
    text.len() - rest.len()
}

/// The length in bytes of the literal's first character, which may be an escape.
fn width(text: &str, basic: bool) -> usize {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some('\\'), Some('x')) if basic => 4,
        (Some('\\'), Some('u')) if basic => 6,
        (Some('\\'), Some('U')) if basic => 10,
        (Some('\\'), Some(_)) if basic => 2,
        (first, _) => first.map_or(0, char::len_utf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Spanned;

    /// Finds the `@` of a value in the literal that it was parsed from.
    fn found(literal: &str) -> &str {
        let text = format!("key = {literal}");
        let table: std::collections::BTreeMap<String, Spanned<String>> = toml::from_str(&text).unwrap();
        let value = &table["key"];
        let source = Source { path: "a.toml".into(), text: text.clone() };
        let byte = source.byte_of(&value.span(), value.get_ref(), value.get_ref().find('@').unwrap());
        &literal[byte - "key = ".len()..]
    }

    #[test]
    fn a_position_is_found_in_every_form_of_string() {
        assert_eq!(found("\"ab@1\""), "@1\"");
        assert_eq!(found("'a\\b@1'"), "@1'");
        assert_eq!(found("'''\na\n'@1'''"), "@1'''");
        assert_eq!(found("'''a\r\n@1'''"), "@1'''");
        assert_eq!(found("\"\"\"\r\na\"b\n@1\"\"\""), "@1\"\"\"");
        assert_eq!(found("\"\"\"@1\"\"\""), "@1\"\"\"");
    }

    #[test]
    fn escapes_have_their_written_width() {
        assert_eq!(found(r#""\t\\\"\u00e4\U0001f600\x41ä@1""#), "@1\"");
        assert_eq!(found("\"\"\"a\\\n    b \\  \r\n\n\t @1\"\"\""), "@1\"\"\"");
        assert_eq!(found("\"\"\"\\\n  @1\"\"\""), "@1\"\"\"");
        assert_eq!(found("\"\"\"a\\\n \\\n @1\"\"\""), "@1\"\"\"");
    }
}
