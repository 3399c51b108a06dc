//! Example diffs in documents: each still applies to the tree that it is an example of.

use super::{File, Finding};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// Checks the code blocks of the language `diff` that name a file. `apply` fails with the reason
/// why a patch doesn't apply.
pub fn check(files: &[File], apply: impl Fn(&str) -> Result<(), String>) -> Vec<Finding> {
    let documents = files.iter().filter(|file| file.path.ends_with(".md"));
    let mut findings = Vec::new();
    for document in documents {
        for (line, patch) in patches(&document.content) {
            if let Err(reason) = apply(&patch) {
                let message =
                    format!("the diff doesn't apply, make the change again and print it with `git diff`: {reason}");
                findings.push(Finding::new(&document.path, Some(line), message));
            }
        }
    }
    findings
}

/// The diffs of a document that name a file, with the line, from 1, at which each block begins.
fn patches(content: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (event, range) in Parser::new(content).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) if &*language == "diff" => {
                block = Some((content[..range.start].matches('\n').count() + 1, String::new()));
            }
            Event::Text(text) => {
                if let Some((_, patch)) = &mut block {
                    patch.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => found.extend(block.take()),
            _ => {}
        }
    }
    found.retain(|(_, patch)| patch.lines().any(|line| line.starts_with("+++ ")));
    found
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    const DOCUMENT: &str = "# A\n\n```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n\n```diff\n+only an extract\n```\n\n```text\n+++ b/x\n```\n";

    #[test]
    fn a_diff_that_names_a_file_must_apply() {
        let files = [file("docs/a.md", DOCUMENT), file("src/a.rs", DOCUMENT)];
        let refused = check(&files, |patch| {
            assert_eq!(patch, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n");
            Err("no file x".to_owned())
        });
        let [message] = &messages(&refused)[..] else { panic!("{refused:?}") };
        assert!(message.starts_with("docs/a.md:3: ") && message.ends_with(": no file x"), "{message}");
        assert_eq!(check(&files, |_| Ok(())), []);
    }
}
