//! Checks the width of comments in Rust files, and rejects words such as `who` in them. It must not
//! check code.

use super::text::{comment, has_word};
use super::{File, Finding};

/// The maximum columns of a line that is a comment.
const MAX_COLUMNS: usize = 100;
/// Words that refer to persons. A comment names the process, the command or the cluster instead.
const PERSON_WORDS: &[&str] = &["who", "whoever", "whom", "nobody", "somebody", "everybody"];

/// Checks a Rust file, and ignores others.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.path.ends_with(".rs") {
        return findings;
    }
    let mut state = State::default();
    for (at, line) in file.content.lines().enumerate() {
        let Some(comment) = comment(line) else {
            state = State::default();
            continue;
        };
        let prose = state.prose(comment);
        let mut found = |message: String| findings.push(Finding::new(&file.path, Some(at + 1), message));
        let columns = line.chars().count();
        if columns > MAX_COLUMNS && line.trim_start().starts_with("//") && may_be_wrapped(comment) && !state.fenced {
            found(format!("a comment of {columns} columns: wrap it at {MAX_COLUMNS}"));
        }
        if let Some(word) = PERSON_WORDS.iter().find(|word| has_word(&prose, word)) {
            found(format!("`{word}` in a comment refers to a person: name the process, the command or the cluster"));
        }
    }
    findings
}

/// What earlier lines of a comment have opened.
#[derive(Default)]
struct State {
    /// A fenced code block.
    fenced: bool,
    /// A code span.
    code: bool,
    /// A quotation.
    quoted: bool,
}

impl State {
    /// The lower-case text of a comment's line, without code and quotations.
    fn prose(&mut self, comment: &str) -> String {
        if content(comment).starts_with("```") {
            self.fenced = !self.fenced;
            return String::new();
        }
        if self.fenced {
            return String::new();
        }
        let mut prose = String::with_capacity(comment.len());
        for character in comment.chars() {
            match character {
                '`' if !self.quoted => self.code = !self.code,
                '"' if !self.code => self.quoted = !self.quoted,
                _ if self.code || self.quoted => {}
                _ => prose.extend(character.to_lowercase()),
            }
        }
        prose
    }
}

/// The text of a comment without its slashes.
fn content(comment: &str) -> &str {
    comment.trim_start_matches(['/', '!']).trim_start()
}

/// Whether a line of a comment is neither a row of a table nor has a URL.
fn may_be_wrapped(comment: &str) -> bool {
    !comment.contains("://") && !content(comment).starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    fn found(content: &str) -> Vec<String> {
        messages(&check(&file("a.rs", content)))
    }

    #[test]
    fn long_comments_are_found_with_their_line() {
        let long = "x ".repeat(60);
        for start in ["//", "///", "    //!"] {
            let found = found(&format!("use a;\n{start} {long}\n"));
            assert!(found.len() == 1 && found[0].starts_with("a.rs:2: a comment of "), "{start}: {found:?}");
        }
        assert!(found(&format!("// {}\n", "x".repeat(97))).is_empty(), "100 columns are allowed");
        assert!(found(&format!("// {}\n", "ä".repeat(97))).is_empty(), "characters are counted, not bytes");
    }

    #[test]
    fn urls_tables_code_and_strings_may_be_long() {
        let long = "x ".repeat(60);
        assert!(found(&format!("// {long} https://example.org/\n")).is_empty());
        assert!(found(&format!("/// | {long} |\n")).is_empty());
        assert!(found(&format!("/// ```\n/// {long}\n/// ```\n")).is_empty());
        assert!(found(&format!("f(\"// {long}\");\n")).is_empty());
        assert!(found(&format!("f({}); // short\n", "x, ".repeat(34))).is_empty());
        assert!(messages(&check(&file("a.md", &format!("// {long}\n")))).is_empty());
        assert_eq!(found(&format!("/// ```\n/// x\n/// ```\n/// {long}\n")).len(), 1, "the fence is closed");
    }

    #[test]
    fn words_for_persons_are_found_in_comments() {
        for word in PERSON_WORDS {
            let found = found(&format!("//! about\n\nf(); // {word} runs it\n"));
            assert!(found.len() == 1 && found[0].starts_with(&format!("a.rs:3: `{word}` in")), "{found:?}");
        }
        assert_eq!(found("// Who asks\n").len(), 1);
        assert!(found("// the whole of whose\nlet who = \"nobody\";\n").is_empty());
    }

    #[test]
    fn words_in_code_and_quotations_are_allowed() {
        assert!(found("/// Runs `who am\n/// i` and\n/// prints \"nobody\".\n").is_empty());
        assert!(found("/// ```\n/// who\n/// ```\n").is_empty());
        assert_eq!(found("// an open ` here\nf();\n// who\n").len(), 1, "code ends with the comment");
    }
}
