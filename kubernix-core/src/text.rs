//! Quoting for other programs' files, and the form of names.

use std::fmt::Write;

/// Quotes a string as one word of a POSIX shell script.
pub fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes a string as a double-quoted literal that JSON, TOML and YAML all read as the same text.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // JSON allows the C1 controls and the two separators, but they end a line in YAML.
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
    fn quote_escapes_quotes_and_control_characters() {
        assert_eq!(quote(r#"/a "b"\c"#), r#""/a \"b\"\\c""#);
        assert_eq!(quote("a\nb\u{1}\u{7f}ä"), "\"a\\nb\\u0001\\u007fä\"");
        assert_eq!(quote(""), "\"\"");
    }

    #[test]
    fn shell_quote_keeps_one_word() {
        assert_eq!(shell_quote("/a b/$c"), "'/a b/$c'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
    }
}
