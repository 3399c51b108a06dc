//! Finds the modules of its own crate that a Rust file uses. It must not know which of them are
//! allowed.

use super::File;
use super::text::{code, unquoted};
use std::collections::{BTreeMap, BTreeSet};

/// The prefix of our crates' names.
pub const OURS: &str = "kubernix_";

/// A module that a file uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// From 1.
    pub line: usize,
    /// The path below the crate's root, up to the first part that isn't a plain name: `engine`,
    /// `state`.
    pub path: Vec<String>,
}

/// The reexports of a crate's `lib.rs`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Reexported items and modules with their paths: `HostLock` is `host_lock`, `toolchain` is
    /// `kubernix_toolchain`.
    pub aliases: BTreeMap<String, String>,
}

impl Names {
    /// Reads the reexports of a `lib.rs`.
    pub fn read(lib: &str) -> Self {
        let mut aliases = BTreeMap::new();
        let text: String = code(lib).map(|(_, line)| unquoted(line) + " ").collect();
        for statement in text.split(';') {
            let Some((before, path)) = statement.split_once("use ") else { continue };
            if !before.trim_start().starts_with("pub") {
                continue;
            }
            for (path, name) in leaves(path) {
                if let Some(first) = path.first() {
                    aliases.insert(name, first.clone());
                }
            }
        }
        Self { aliases }
    }
}

/// The files of test modules, which a `#[cfg(test)] mod NAME;` declares, as paths and folders in
/// the repository.
pub fn of_tests(files: &[&File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        let folder = folder_of(&file.path);
        let lines: Vec<&str> = file.content.lines().map(str::trim).collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[cfg(test)]") {
            let mut rest = lines[at + 1..].iter();
            let mut next = rest.next();
            let path = next.and_then(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]"));
            if path.is_some() {
                next = rest.next();
            }
            let module = next.and_then(|line| line.rsplit_once("mod ")?.1.strip_suffix(';'));
            match (module, path) {
                (Some(_), Some(path)) => drop(found.insert(format!("{}/{path}", parent(&file.path)))),
                (Some(module), None) => {
                    found.insert(format!("{folder}/{module}.rs"));
                    found.insert(format!("{folder}/{module}/"));
                }
                _ => {}
            }
        }
    }
    found
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The folder that a file's child modules are in.
fn folder_of(path: &str) -> String {
    let stem = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs"));
    stem.unwrap_or_else(|| path.strip_suffix(".rs").unwrap_or(path)).to_owned()
}

/// The module path of a file below a crate's `src/`: `engine/reducer/mod.rs` is `engine`,
/// `reducer`.
pub fn module_of(below: &str) -> Vec<String> {
    let stem = below.strip_suffix("/mod.rs").or_else(|| below.strip_suffix(".rs")).unwrap_or(below);
    match stem {
        "lib" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    }
}

/// The modules of its own crate that a file uses, without its unit tests: paths that begin with
/// `crate`, or with `super` and reach the root. Also paths that begin with another crate of ours.
pub fn read(module: &[String], content: &str) -> Vec<Import> {
    let mut text = String::new();
    // The offset of each line in the text, with its number.
    let mut lines = Vec::new();
    for (number, line) in code(content) {
        lines.push((text.len(), number));
        text.push_str(&unquoted(line));
        text.push('\n');
    }
    let line_at = |at: usize| lines[lines.partition_point(|(begin, _)| *begin <= at) - 1].1;
    let mut imports = Vec::new();
    let mut add = |at: usize, base: &[String], rest: &str| {
        for (path, _) in leaves(rest) {
            let mut full = base.to_vec();
            for part in path {
                match part.as_str() {
                    "super" => drop(full.pop()),
                    _ => full.push(part),
                }
            }
            imports.push(Import { line: line_at(at), path: full });
        }
    };
    for (at, _) in text.match_indices("crate::") {
        if !follows_name(&text[..at]) {
            add(at, &[], &text[at + "crate::".len()..]);
        }
    }
    // Another crate of ours may also be named directly.
    for (at, _) in text.match_indices(OURS) {
        if !follows_name(&text[..at]) {
            add(at, &[], &text[at..]);
        }
    }
    for (at, _) in text.match_indices("super::") {
        if follows_name(&text[..at]) || text[..at].ends_with("super::") {
            continue;
        }
        let (mut rest, mut up) = (&text[at..], 0);
        while let Some(further) = rest.strip_prefix("super::") {
            (rest, up) = (further, up + 1);
        }
        if let Some(base) = module.len().checked_sub(up).and_then(|left| module.get(..left)) {
            add(at, base, rest);
        }
    }
    imports.sort_by_key(|import| import.line);
    imports
}

/// Whether a text ends within a name or a path, so that no path begins after it.
fn follows_name(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | ':'))
}

/// The paths of a use tree, or a path of an expression, at the beginning of a text, each with its
/// local name.
fn leaves(text: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    tree(text, &[], &mut found);
    found
}

/// Reads one tree, and returns the text after it.
fn tree<'a>(text: &'a str, base: &[String], found: &mut Vec<(Vec<String>, String)>) -> &'a str {
    let mut path = base.to_vec();
    let mut rest = text.trim_start();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            rest = group;
            loop {
                rest = tree(rest, &path, found).trim_start();
                match rest.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => return rest.strip_prefix('}').unwrap_or(rest),
                }
            }
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if end == 0 {
            // A glob uses the module itself.
            if let Some(after) = rest.strip_prefix('*') {
                found.push((path.clone(), path.last().cloned().unwrap_or_default()));
                return after;
            }
            return rest;
        }
        if &rest[..end] != "self" {
            path.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
        if let Some(next) = rest.strip_prefix("::") {
            rest = next;
            continue;
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if let Some(alias) = rest.trim_start().strip_prefix("as ") {
            let alias = alias.trim_start();
            let end = alias.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(alias.len());
            name = alias[..end].to_owned();
            rest = &alias[end..];
        }
        found.push((path, name));
        return rest;
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn imports(module: &str, content: &str) -> Vec<String> {
        let found = read(&module_of(module), content);
        found.iter().map(|import| format!("{} {}", import.line, import.path.join("::"))).collect()
    }

    #[test]
    fn paths_are_found_in_uses_groups_and_code() {
        let content = "use crate::root::Root;\nuse crate::{\n    chain, graph::{self, Plan as P},\n};\n// crate::comment\n\
                       fn f() { crate::events::read(\"crate::text\"); $crate::macros!() }\n\
                       #[cfg(test)]\nmod tests {\n    use crate::testing;\n}\n";
        assert_eq!(
            imports("pki/mod.rs", content),
            ["1 root::Root", "2 chain", "2 graph", "2 graph::Plan", "6 events::read"]
        );
    }

    #[test]
    fn super_is_resolved_up_to_the_root() {
        assert_eq!(
            imports("a/c.rs", "use super::b;\nuse super::super::events::Event;\n"),
            ["1 a::b", "2 events::Event"]
        );
        assert!(imports("a/c.rs", "use super::{b, super::root::Root};\n").contains(&"1 root::Root".to_owned()));
        assert!(imports("a/c.rs", "use super::super::super::beyond;\n").is_empty(), "it leads above the root");
        assert_eq!(imports("a.rs", "use super::placement::Placement;\n"), ["1 placement::Placement"]);
    }

    #[test]
    fn reexports_of_the_root_are_resolved() {
        let lib = "pub mod root;\npub use host_lock::HostLock;\npub use kubernix_toolchain as toolchain;\n\
                   pub use kubernix_sandbox::{network, process};\nuse std::fmt;\n";
        let names = Names::read(lib);
        let of = |name: &str| names.aliases.get(name).map(String::as_str);
        assert_eq!(of("HostLock"), Some("host_lock"));
        assert_eq!(of("toolchain"), Some("kubernix_toolchain"));
        assert_eq!(of("process"), Some("kubernix_sandbox"));
        assert_eq!(of("fmt"), None);
    }

    #[test]
    fn test_modules_are_found_by_their_declaration() {
        let lib = file("host/src/lib.rs", "#[cfg(test)]\nmod testing;\nmod pki;\n");
        let pki =
            file("host/src/pki/mod.rs", "#[cfg(test)]\n#[path = \"loss.rs\"]\nmod tests;\n#[cfg(test)]\nfn f() {}\n");
        let found = of_tests(&[&lib, &pki]);
        let expected = ["host/src/pki/loss.rs", "host/src/testing.rs", "host/src/testing/"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}
