//! Finds words that must not be committed: marks of unfinished work, paths of one machine, hosts of
//! registries.

use super::text::has_word;
use super::{File, Finding};

// Concatenated, so that this file has none of them.
/// Marks of unfinished work.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[", "ignore"),
];
/// Prefixes of paths that exist only on one machine.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/root", "/go"), concat!("/tmp/", "bins")];
/// Hosts of package registries: the user's settings decide which one is used.
const HOSTS: &[&str] = &[
    concat!("proxy.go", "lang.org"),
    concat!("sum.go", "lang.org"),
    concat!("crates", ".io"),
    concat!("deb.deb", "ian.org"),
    concat!("security.deb", "ian.org"),
    concat!("pypi", ".org"),
    concat!("registry.npm", "js.org"),
    concat!("repo1.ma", "ven.org"),
    concat!("repo.ma", "ven.apache.org"),
];

/// Checks a file. Lock files are left out: tools write them.
pub fn check(file: &File) -> Vec<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    if name == "LICENSE" || name.ends_with(".lock") || name == "go.sum" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in file.content.lines().enumerate() {
        let mut found = |message: String| findings.push(Finding::new(&file.path, Some(at + 1), message));
        if let Some(mark) = UNFINISHED.iter().find(|mark| has_word(line, mark)) {
            found(format!("`{mark}`: finish the work, or describe it in an issue"));
        }
        if let Some(path) = MACHINE.iter().find(|path| has_path(line, path)) {
            found(format!("`{path}` is a path of one machine: it doesn't exist elsewhere"));
        }
        if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
            found(format!("`{host}` is named: the user's settings decide which registry is used"));
        }
    }
    findings
}

/// Whether a line has this absolute path, not as a part of another path.
fn has_path(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "._-}$*)".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inside))
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    fn found(path: &str, line: &str) -> Vec<String> {
        messages(&check(&file(path, &format!("first\n{line}\n"))))
    }

    #[test]
    fn unfinished_work_is_named_with_its_line() {
        for mark in UNFINISHED {
            let found = found("src/a.rs", &format!("    {mark} later"));
            assert!(found.len() == 1 && found[0].starts_with(&format!("src/a.rs:2: `{mark}`")), "{found:?}");
        }
        assert!(found("a.sh", &format!("mktemp -d a.{0}{0}", UNFINISHED[4])).is_empty());
    }

    #[test]
    fn machine_paths_are_found_but_not_parts_of_paths() {
        assert_eq!(found("README.md", &format!("see `{}x`", MACHINE[0])).len(), 1);
        assert_eq!(found("a.rs", &format!("let p = \"{}/bin\";", MACHINE[1])).len(), 1);
        assert!(found("a.rs", &format!("overlay{}dir", MACHINE[0])).is_empty());
    }

    #[test]
    fn registries_are_found_except_in_lock_files() {
        for host in HOSTS {
            let line = format!("url = https://{host}/x");
            assert_eq!(found("a.toml", &line).len(), 1, "{host}");
            assert!(found("Cargo.lock", &line).is_empty() && found("toolchain/etcd/go.sum", &line).is_empty());
        }
    }
}
