//! Checks Markdown files: relative links resolve, each document is in the index of its folder, and
//! README.md and ARCHITECTURE.md stay short.

use super::{File, Finding};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum lines of a file.
const MAX_LINES: &[(&str, usize)] = &[("README.md", 120), ("ARCHITECTURE.md", 200)];
/// Folders whose `README.md` links all their documents.
const INDEXED: &[&str] = &["docs/", "docs/decisions/"];

/// A link in a document.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    /// From 1.
    line: usize,
    target: String,
}

/// The links and headings of a document.
#[derive(Debug, Default)]
struct Document {
    links: Vec<Link>,
    /// The anchors of its headings.
    anchors: BTreeSet<String>,
}

/// Checks all Markdown files.
pub fn check(files: &[File]) -> Vec<Finding> {
    let documents: BTreeMap<&str, Document> = files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .map(|file| (file.path.as_str(), Document::read(&file.content)))
        .collect();
    let mut findings = Vec::new();
    for (path, document) in &documents {
        for link in &document.links {
            if let Err(message) = resolve(files, &documents, path, &link.target) {
                findings.push(Finding::new(path, Some(link.line), message));
            }
        }
    }
    findings.extend(unindexed(&documents));
    findings.extend(files.iter().filter_map(too_long));
    findings
}

/// Looks up the target of a link. The error names what is missing.
fn resolve(files: &[File], documents: &BTreeMap<&str, Document>, from: &str, target: &str) -> Result<(), String> {
    if is_external(target) {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { Some(from.to_owned()) } else { joined(from, path) };
    let path = path.ok_or_else(|| format!("`{target}` leads out of the repository: use a relative path in it"))?;
    let folder = format!("{path}/");
    if !files.iter().any(|file| file.path == path || file.path.starts_with(&folder)) {
        return Err(format!("`{target}` leads to `{path}`, which doesn't exist"));
    }
    match (anchor, documents.get(path.as_str())) {
        (Some(anchor), Some(document)) if !document.anchors.contains(anchor) => {
            Err(format!("`{target}`: `{path}` has no heading with the anchor `{anchor}`"))
        }
        _ => Ok(()),
    }
}

/// Whether a link leads to another site: it has a scheme, or begins at the root of a server.
fn is_external(target: &str) -> bool {
    let scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    scheme || target.starts_with("//")
}

/// Resolves a path relative to a document to a path in the repository; `None` if it leads out of
/// it.
fn joined(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            "" => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Finds documents that their index doesn't link.
fn unindexed(documents: &BTreeMap<&str, Document>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in INDEXED {
        let index = format!("{folder}README.md");
        let linked: BTreeSet<String> = documents
            .get(index.as_str())
            .into_iter()
            .flat_map(|document| &document.links)
            .filter_map(|link| joined(&index, link.target.split('#').next().unwrap_or_default()))
            .collect();
        for path in documents.keys().filter(|path| path.strip_prefix(folder).is_some_and(|name| !name.contains('/'))) {
            if *path != index && !linked.contains(*path) {
                findings.push(Finding::new(
                    path,
                    None,
                    format!("{index} doesn't link it: add a link, so that readers find it"),
                ));
            }
        }
    }
    findings
}

fn too_long(file: &File) -> Option<Finding> {
    let (_, most) = MAX_LINES.iter().find(|(path, _)| *path == file.path)?;
    let lines = file.content.lines().count();
    let message = format!("{lines} lines, more than {most}: move details into docs/ and link them");
    (lines > *most).then(|| Finding::new(&file.path, None, message))
}

impl Document {
    fn read(content: &str) -> Self {
        let mut document = Self::default();
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new_ext(content, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let line = content[..range.start].matches('\n').count() + 1;
                    document.links.push(Link { line, target: dest_url.into_string() });
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => document.add_anchor(&heading.take().unwrap_or_default()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        document
    }

    /// Adds the anchor of a heading in GitHub's form: the second one of the same text ends with
    /// `-1`.
    fn add_anchor(&mut self, heading: &str) {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
        let anchor = (1..).map(|number| format!("{slug}-{number}")).find(|anchor| !self.anchors.contains(anchor));
        let anchor = if self.anchors.contains(&slug) { anchor.unwrap_or_default() } else { slug };
        self.anchors.insert(anchor);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    fn found(content: &str) -> Vec<String> {
        let files = [
            file("README.md", "# Top\n"),
            file("docs/README.md", "[a](a.md) and [b](./sub/../b.md#b)\n"),
            file("docs/a.md", content),
            file("docs/b.md", "# B\n\n## `port add`: how\n\n## Again\n\n## Again\n"),
            file("docs/pictures/boot.svg", "<svg/>"),
        ];
        messages(&check(&files))
    }

    #[test]
    fn valid_links_pass() {
        for link in [
            "[b](b.md)",
            "[b](b.md#port-add-how)",
            "[again](b.md#again-1)",
            "[top](../README.md#top)",
            "![boot](pictures/boot.svg)",
            "[folder](pictures/)",
            "# Here\n\n[here](#here)",
            "[site](https://example.org/x#y) and [mail](mailto:a@example.org)",
            "`[code](missing.md)`",
            "```text\n[code](missing.md)\n```",
        ] {
            assert_eq!(found(&format!("{link}\n")), Vec::<String>::new(), "{link}");
        }
    }

    #[test]
    fn links_that_do_not_resolve_are_named_with_their_line() {
        assert_eq!(
            found("first\n\nsee [x](missing.md)\n"),
            ["docs/a.md:3: `missing.md` leads to `docs/missing.md`, which doesn't exist"]
        );
        assert_eq!(
            found("[x](b.md#nothing)\n"),
            ["docs/a.md:1: `b.md#nothing`: `docs/b.md` has no heading with the anchor `nothing`"]
        );
        assert!(found("[x](#nothing)\n")[0].contains("no heading"));
        assert!(found("![x](pictures/gone.svg)\n")[0].contains("doesn't exist"));
        assert!(found("[x](../../elsewhere.md)\n")[0].contains("leads out of the repository"));
        assert!(found("| a |\n|---|\n| [x](missing.md) |\n")[0].starts_with("docs/a.md:3: "));
    }

    #[test]
    fn documents_are_in_the_index() {
        let files = [file("docs/README.md", "[a](a.md)\n"), file("docs/a.md", ""), file("docs/new.md", "")];
        assert_eq!(
            messages(&check(&files)),
            ["docs/new.md: docs/README.md doesn't link it: add a link, so that readers find it"]
        );
    }

    #[test]
    fn limited_documents_stay_short() {
        for (path, most) in MAX_LINES {
            let lines = |count: usize| messages(&check(&[file(path, &"x\n".repeat(count))]));
            assert_eq!(lines(*most), Vec::<String>::new());
            assert_eq!(lines(most + 1).len(), 1, "{path}");
        }
        assert!(check(&[file("CHANGELOG.md", &"x\n".repeat(900))]).is_empty());
    }
}
