//! Reads Rust source by line, to distinguish code from comments and product code from tests. A
//! parser would be more exact, but slower to compile than all of xtask.

/// Rust source without comments and unit tests: the rest of each line with its number from 1.
pub fn code(content: &str) -> impl Iterator<Item = (usize, &str)> {
    product(content).map(|(number, line)| (number, uncommented(line))).filter(|(_, line)| !line.trim().is_empty())
}

/// The lines before a file's unit tests, which are at the end of a file by convention.
pub fn product(content: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = content.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        let (at, line) = lines.next()?;
        let tests = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|(_, next)| next.starts_with("mod ") && next.ends_with('{'));
        (!tests).then_some((at + 1, line))
    })
}

/// A line up to its comment. A `//` in quotes isn't a comment.
fn uncommented(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    let mut previous = ' ';
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            // Not the character literal '"'.
            '"' if previous != '\'' => quoted = !quoted,
            '/' if !quoted && previous == '/' => return &line[..at - 1],
            _ => {}
        }
        previous = character;
    }
    line
}

/// The comment of a line, with its slashes.
pub fn comment(line: &str) -> Option<&str> {
    Some(&line[uncommented(line).len()..]).filter(|comment| !comment.is_empty())
}

/// A line without quoted text.
pub fn unquoted(line: &str) -> String {
    let (mut quoted, mut escaped, mut previous) = (false, false, ' ');
    let mut kept = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if previous != '\'' => quoted = !quoted,
            _ if quoted => {}
            _ => kept.push(character),
        }
        previous = character;
    }
    kept
}

/// Whether a text has this word, not as a part of an identifier.
pub fn has_word(text: &str, word: &str) -> bool {
    let inside = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let starts = word.starts_with(|c: char| c.is_alphanumeric());
        let ends = word.ends_with(|c: char| c.is_alphanumeric());
        !(starts && inside(text[..at].chars().next_back()) || ends && inside(text[at + word.len()..].chars().next()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_unit_tests_are_not_code() {
        let source =
            "//! about\nuse a; // why\n\nlet u = \"https://x\"; // y\n#[cfg(test)]\nmod tests {\n    bad();\n}\n";
        assert_eq!(code(source).collect::<Vec<_>>(), [(2, "use a; "), (4, "let u = \"https://x\"; ")]);
    }

    #[test]
    fn a_test_helper_does_not_end_the_code() {
        let source = "#[cfg(test)]\nfn helper() {}\n#[cfg(test)]\nmod tests;\nunsafe {}\n";
        assert!(code(source).any(|(line, text)| line == 5 && text == "unsafe {}"));
    }

    #[test]
    fn quotes_are_recognised() {
        assert_eq!(uncommented(r#"a("\"//") // c"#), r#"a("\"//") "#);
        assert_eq!(uncommented("b('\"') // c"), "b('\"') ");
        assert_eq!(comment(r#"a("//") // c"#), Some("// c"));
        assert_eq!(comment("a(b)"), None);
        assert_eq!(unquoted(r#"a("b\"c", d)"#), "a(, d)");
    }

    #[test]
    fn words_are_matched_whole() {
        assert!(has_word("unsafe {", "unsafe") && has_word("=unsafe", "unsafe"));
        assert!(!has_word("unsafe_op_in_unsafe_fn", "unsafe") && !has_word("MYWORD", "WORD"));
    }
}
