//! Text that goes into other programs' files, and what names look like.

use std::fmt::Write;

/// A string as one word of a POSIX shell's script.
pub fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A string as a double-quoted literal that JSON, TOML and YAML all read back as the same text.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // The C1 controls and the two separators are JSON as they stand, but end a line for
            // YAML.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a String can't fail");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether this can name a component, a role, a process or a parameter: a DNS label (RFC 1123),
/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?` of at most 63 bytes.
pub fn is_name(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for name in ["a", "kube-proxy", "9", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a/b", "\u{e4}", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_would_end_the_literal_is_escaped() {
        assert_eq!(quote(r#"/a "b"\c"#), r#""/a \"b\"\\c""#);
        assert_eq!(quote("a\nb\u{1}\u{7f}ä"), "\"a\\nb\\u0001\\u007fä\"");
        assert_eq!(quote(""), "\"\"");
    }

    #[test]
    fn a_word_of_a_script_stays_one() {
        assert_eq!(shell_quote("/a b/$c"), "'/a b/$c'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
    }
}
