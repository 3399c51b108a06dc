//! Strings with placeholders: `{{` NAME `}}`. Finds placeholders, and must not know their meaning.

use serde::{Deserialize, Deserializer};
use std::ops::Range;
use toml::Spanned;

/// A string of a component file.
#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    /// The value, with placeholders as they are written.
    pub text: String,
    /// The literal in the file, quotes included.
    pub span: Range<usize>,
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Plain text.
    Text(&'a str),
    /// A placeholder: the text between the braces, and the byte of the value where they open.
    Placeholder { name: &'a str, at: usize },
    /// Braces that open at this byte of the value and don't close on the same line.
    Open { at: usize },
}

impl Template {
    /// The pieces, in order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let text = self.text.as_str();
        let mut next = 0;
        std::iter::from_fn(move || {
            let start = next;
            let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
            let (length, part) = match rest.find("{{") {
                None => (rest.len(), Part::Text(rest)),
                Some(open @ 1..) => (open, Part::Text(&rest[..open])),
                Some(_) => match rest[2..].find("}}").map(|end| &rest[2..2 + end]) {
                    Some(inner) if !inner.contains("{{") && !inner.contains('\n') => {
                        (inner.len() + 4, Part::Placeholder { name: inner.trim(), at: start })
                    }
                    _ => (2, Part::Open { at: start }),
                },
            };
            next += length;
            Some(part)
        })
    }

    /// The names of its placeholders.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts().filter_map(|part| match part {
            Part::Placeholder { name, .. } => Some(name),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), text: spanned.into_inner() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<Part<'_>> {
        // Leaked, so that the parts can be returned.
        Box::leak(Box::new(Template { text: text.into(), span: 0..0 })).parts().collect()
    }

    #[test]
    fn text_and_placeholders_are_separated() {
        use Part::{Placeholder, Text};
        assert_eq!(parts("plain } { }}"), [Text("plain } { }}")]);
        assert_eq!(
            parts("a{{b}}{{ c.d }}"),
            [Text("a"), Placeholder { name: "b", at: 1 }, Placeholder { name: "c.d", at: 6 }]
        );
        assert_eq!(parts("{a: {{b}}}"), [Text("{a: "), Placeholder { name: "b", at: 4 }, Text("}")]);
        assert_eq!(parts("ä{{}}"), [Text("ä"), Placeholder { name: "", at: 2 }]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn braces_that_do_not_close_are_recognised() {
        assert_eq!(parts("a{{b")[1], Part::Open { at: 1 });
        assert_eq!(parts("{{a\n}}")[0], Part::Open { at: 0 });
        assert_eq!(parts("{{a {{b}}")[0], Part::Open { at: 0 });
    }
}
