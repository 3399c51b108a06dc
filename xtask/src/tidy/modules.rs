//! Checks the tables of modules in ARCHITECTURE.md: each module has an entry with the modules that
//! it may use, the code keeps to it, and there are no cycles.

use super::imports::{self, Names};
use super::{File, Finding};
use std::collections::{BTreeMap, BTreeSet};

/// The document with the tables.
const DOCUMENT: &str = "ARCHITECTURE.md";
/// The column with the modules that a module may use.
const MAY_USE: &str = "may use";
/// The text in this column if there are none.
const NONE: &str = "-";

/// A table: the modules of one crate.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    /// The crate's sources: `kubernix-host/src/`.
    folder: String,
    rows: Vec<Row>,
}

/// An entry: a module, or a nested one (`engine/reducer`).
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// The line in the document, from 1.
    line: usize,
    module: String,
    may_use: BTreeSet<String>,
}

/// Checks every crate with a table.
pub fn check(files: &[File]) -> Vec<Finding> {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else { return Vec::new() };
    tables(&document.content).iter().flat_map(|table| check_table(table, files)).collect()
}

/// The tables of a document with a column `may use`, below a line that names a folder.
fn tables(document: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut folder, mut column) = (None, None);
    for (number, line) in (1..).zip(document.lines()) {
        let Some(row) = line.strip_prefix('|') else {
            column = None;
            let named = line.split('`').skip(1).step_by(2).find(|quoted| quoted.ends_with("/src/"));
            folder = named.map(str::to_owned).or(folder);
            continue;
        };
        let cells: Vec<&str> = row.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
        match (column, &folder) {
            (None, Some(folder)) => {
                column = cells.iter().position(|cell| *cell == MAY_USE);
                if column.is_some() {
                    tables.push(Table { folder: folder.clone(), rows: Vec::new() });
                }
            }
            (Some(column), _) if !cells[0].starts_with('-') => {
                let may_use: BTreeSet<String> = quoted(cells.get(column).unwrap_or(&"")).collect();
                let rows = quoted(cells[0]).map(|module| Row { line: number, module, may_use: may_use.clone() });
                if let Some(table) = tables.last_mut() {
                    table.rows.extend(rows);
                }
            }
            _ => {}
        }
    }
    tables
}

/// The names in backquotes of a cell, without the slash of a folder.
fn quoted(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned())
}

fn check_table(table: &Table, files: &[File]) -> Vec<Finding> {
    let own: Vec<&File> =
        files.iter().filter(|file| file.path.starts_with(&table.folder) && file.path.ends_with(".rs")).collect();
    let lib = format!("{}lib.rs", table.folder);
    let Some(lib) = own.iter().find(|file| file.path == lib) else {
        return vec![Finding::new(
            DOCUMENT,
            None,
            format!("`{}` has no lib.rs: correct the table's folder", table.folder),
        )];
    };
    let names = Names::read(&lib.content);
    let tests = imports::of_tests(&own);
    let own: Vec<(Vec<String>, &File)> = own
        .into_iter()
        .filter(|file| {
            !tests.iter().any(|test| file.path == *test || test.ends_with('/') && file.path.starts_with(test))
        })
        .map(|file| (imports::module_of(&file.path[table.folder.len()..]), file))
        .filter(|(module, _)| !module.is_empty())
        .collect();
    let mut findings = entries(table, &own, &names);
    findings.extend(forbidden_uses(table, &own, &names));
    findings.extend(cycle(table));
    findings
}

/// Checks that each module has an entry, that each entry has a module, and that the last column
/// only has modules and other crates.
fn entries(table: &Table, own: &[(Vec<String>, &File)], names: &Names) -> Vec<Finding> {
    let mut findings = Vec::new();
    let exists = |name: &str| own.iter().any(|(module, _)| is_below(&module.join("/"), name));
    for row in &table.rows {
        if !exists(&row.module) {
            let message = format!("the table of `{}` has a module `{}` that doesn't exist", table.folder, row.module);
            findings.push(Finding::new(DOCUMENT, Some(row.line), message));
        }
        let is_known =
            |name: &String| table.rows.iter().any(|other| other.module == *name) || other_crate(table, names, name);
        for name in row.may_use.iter().filter(|name| !is_known(name)) {
            let message = format!("`{}` may use `{name}`, which isn't a module of `{}`", row.module, table.folder);
            findings.push(Finding::new(DOCUMENT, Some(row.line), message));
        }
    }
    let modules: BTreeSet<&String> = own.iter().filter_map(|(module, _)| module.first()).collect();
    for module in modules.into_iter().filter(|module| !table.rows.iter().any(|row| row.module == **module)) {
        let message = format!(
            "`{}{module}` has no entry in the table of modules: add one with its purpose, what it must not know and \
                what it may use, or `{NONE}`",
            table.folder
        );
        findings.push(Finding::new(DOCUMENT, None, message));
    }
    findings
}

/// Whether a name of the crate's root is another crate, or a module of it.
fn other_crate(table: &Table, names: &Names, name: &str) -> bool {
    names.aliases.get(name).is_some_and(|origin| !table.rows.iter().any(|row| row.module == *origin))
}

/// Finds uses of modules that the entry doesn't allow.
fn forbidden_uses(table: &Table, own: &[(Vec<String>, &File)], names: &Names) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (module, file) in own {
        let module_path = module.join("/");
        let rows = table.rows.iter().filter(|row| is_below(&module_path, &row.module));
        let Some(row) = rows.max_by_key(|row| row.module.len()) else { continue };
        let mut seen = BTreeSet::new();
        for import in imports::read(module, &file.content) {
            let Some(first) = import.path.first() else { continue };
            let target = target(table, names, first);
            let is_own = is_below(&row.module, target);
            let is_module = table.rows.iter().any(|row| row.module == *target) || other_crate(table, names, target);
            if is_own || !is_module || row.may_use.contains(target) || !seen.insert(target.to_owned()) {
                continue;
            }
            let message = format!(
                "`{}` must not use `{target}`: {DOCUMENT} (line {}) doesn't have it in the column `{MAY_USE}`. \
                Move the code, or take it as an argument; a new entry is a design decision",
                row.module, row.line
            );
            findings.push(Finding::new(&file.path, Some(import.line), message));
        }
    }
    findings
}

/// The name in the table of the first part of a path: a module, or another crate without the common
/// prefix.
fn target<'a>(table: &Table, names: &'a Names, first: &'a str) -> &'a str {
    let crate_name = |name: &'a str| name.strip_prefix(imports::OURS).unwrap_or(name);
    match names.aliases.get(first) {
        // A reexport of one of the crate's own modules.
        Some(origin) if table.rows.iter().any(|row| row.module == *origin) => origin,
        // An item of another crate.
        Some(origin) if first.starts_with(char::is_uppercase) => crate_name(origin),
        _ => crate_name(first),
    }
}

/// Whether a module is another one, or within it.
fn is_below(module: &str, other: &str) -> bool {
    module.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The first cycle of a table.
fn cycle(table: &Table) -> Option<Finding> {
    let mut edges: BTreeMap<&str, &BTreeSet<String>> = BTreeMap::new();
    for row in &table.rows {
        edges.insert(&row.module, &row.may_use);
    }
    // Removes modules that use none of the remaining ones, until all of these use another.
    loop {
        let leaf = |(_, uses): &(&&str, &&BTreeSet<String>)| !uses.iter().any(|name| edges.contains_key(name.as_str()));
        match edges.iter().find(leaf).map(|(module, _)| *module) {
            Some(leaf) => drop(edges.remove(leaf)),
            None => break,
        }
    }
    // Each step from a remaining module leads to a remaining one, so there is a cycle.
    let mut path = vec![*edges.keys().next()?];
    loop {
        let next = edges[path[path.len() - 1]].iter().find(|name| edges.contains_key(name.as_str()))?;
        if let Some(at) = path.iter().position(|module| module == next) {
            let round = [&path[at..], &[next.as_str()]].concat().join("` -> `");
            let message = format!("the modules of `{}` have a cycle: `{round}`", table.folder);
            return Some(Finding::new(DOCUMENT, None, message));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    const LIB: &str = "mod a;\nmod b;\npub use b::Thing;\npub use kubernix_low as low;\npub use kubernix_low::Item;\n";

    fn document(rows: &str) -> File {
        let text = format!(
            "# Map\n\n| folder | is |\n|---|---|\n| `x/` | y |\n\nBelow `host/src/`:\n\n\
             | module | is | may use |\n|---|---|---|\n{rows}\n\nText of `a`.\n"
        );
        file(DOCUMENT, &text)
    }

    fn found(rows: &str, a: &str) -> Vec<String> {
        let files = [
            document(rows),
            file("host/src/lib.rs", LIB),
            file("host/src/a/mod.rs", "mod inner;\n#[cfg(test)]\nmod tests;\n"),
            file("host/src/a/inner.rs", a),
            file("host/src/a/tests.rs", "use crate::b;\n"),
            file("host/src/b.rs", ""),
        ];
        messages(&check(&files))
    }

    const GOOD: &str = "| `a/` | | `b`, `low` |\n| `b` | | - |";

    #[test]
    fn code_that_keeps_to_the_table_passes() {
        let a = "use crate::b::X;\nuse crate::low::Y;\nuse kubernix_low::Z;\nuse crate::Item;\nuse super::tests;\nuse crate::Thing;\n";
        assert_eq!(found(GOOD, a), Vec::<String>::new());
    }

    #[test]
    fn a_forbidden_use_is_found() {
        let apart = "| `a/` | | - |\n| `b` | | - |";
        let message = "host/src/a/inner.rs:2: `a` must not use `b`: ARCHITECTURE.md (line 11) doesn't have it";
        for import in [
            "use crate::b::X;",
            "use crate::{b};",
            "use super::super::b;",
            "use crate::Thing;",
            "fn f(x: crate::b::X) {}",
        ] {
            let found = found(apart, &format!("//! About.\n{import}\n"));
            assert_eq!(found.len(), 1, "{import}: {found:?}");
            assert!(found[0].starts_with(message), "{}", found[0]);
        }
        for import in ["use crate::low::Y;\n", "use kubernix_low::Z;\n", "use crate::Item;\n"] {
            let found = found(apart, import);
            assert!(found.len() == 1 && found[0].contains("`a` must not use `low`"), "{import}: {found:?}");
        }
        assert!(found(apart, "use kubernix_core::Plan;\n").is_empty(), "all crates may use the contract");
    }

    #[test]
    fn missing_and_unknown_modules_are_found() {
        let without = found("| `a/` | | - |", "");
        assert_eq!(without.len(), 1, "{without:?}");
        assert!(without[0].contains("`host/src/b` has no entry in the table of modules"));
        let more = found(&format!("{GOOD}\n| `c` | | `b`, `d` |"), "");
        assert_eq!(more.len(), 2, "{more:?}");
        assert!(more[0].contains("module `c` that doesn't exist") && more[1].contains("`c` may use `d`"));
    }

    #[test]
    fn a_nested_module_has_its_own_entry() {
        let rows = format!("{GOOD}\n| `a/inner` | | - |");
        assert!(found(&rows, "use super::tests;\nuse crate::a::Y;\n").is_empty());
        let found = found(&rows, "use crate::b;\n");
        assert!(found[0].contains("`a/inner` must not use `b`"), "{found:?}");
    }

    #[test]
    fn a_cycle_is_found() {
        let found = found("| `a/` | | `b` |\n| `b` | | `a` |", "");
        assert_eq!(found, ["ARCHITECTURE.md: the modules of `host/src/` have a cycle: `a` -> `b` -> `a`"]);
    }
}
