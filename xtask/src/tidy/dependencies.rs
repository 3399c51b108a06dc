//! Checks the direction of dependencies between crates, and that the contract does no IO.

use super::text::code;
use super::{File, Finding};
use crate::workspace::Package;

/// The allowed dependencies of members by folder (`*`: every folder in it), and further ones of
/// their tests.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    ("kubernix-core", &[], &[]),
    ("components/*", &["kubernix-core"], &["kubernix-testkit"]),
    ("examples/*", &["kubernix-core"], &["kubernix-host", "kubernix-testkit"]),
    ("images/*", &[], &[]),
    ("kubernix-testkit", &["kubernix-core"], &[]),
    ("host/toolchain", &[], &[]),
    ("host/sandbox", &["kubernix-core", "images/*"], &["kubernix-testkit"]),
    ("host/plugins", &["kubernix-core", "host/toolchain"], &["kubernix-testkit"]),
    ("kubernix-host", &["kubernix-core", "host/*", "images/*"], &["kubernix-testkit"]),
    ("kubernix-cli", &["kubernix-core", "kubernix-host", "kubernix-testkit", "components/*"], &[]),
    ("tests/preload", &[], &[]),
    ("tests", &["kubernix-core", "kubernix-host", "kubernix-cli", "kubernix-testkit"], &[]),
    ("xtask", &[], &[]),
];

/// The contract's folder.
const CORE: &str = "kubernix-core/src/";
/// The part of the contract that crosses the boundary. Authors of components don't read it.
const ABI: &str = "kubernix-core/src/abi";
/// The maximum lines of code of the contract without that part.
const CORE_LINES: usize = 1_500;

/// Checks the direction: components -> core <- host <- cli.
pub fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let Some((_, always, in_tests)) = ALLOWED.iter().find(|(folder, ..)| matches(folder, &package.folder)) else {
            let message = "this member isn't in the table ALLOWED of xtask/src/tidy/dependencies.rs: add it with its dependencies";
            findings.push(Finding::new(&manifest, None, message));
            continue;
        };
        for (name, test_only) in &package.dependencies {
            let Some(other) = packages.iter().find(|other| other.name == *name) else { continue };
            let allowed = |list: &[&str]| list.iter().any(|folder| matches(folder, &other.folder));
            if !(allowed(always) || *test_only && allowed(in_tests)) {
                let message = format!(
                    "`{}` must not depend on `{name}`: dependencies point one way (components -> core <- host <- cli), so that \
                     every part can be replaced without the others",
                    package.name
                );
                findings.push(Finding::new(&manifest, None, message));
            }
        }
    }
    findings
}

fn matches(pattern: &str, folder: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == folder, |parent| folder.starts_with(parent))
}

/// Checks that the contract is small, consists of data, and does no IO.
pub fn contract(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut lines = 0;
    let is_product = |path: &str| path.starts_with(CORE) && path.ends_with(".rs") && !path.ends_with("/tests.rs");
    for file in files.iter().filter(|file| is_product(&file.path)) {
        if !file.path.starts_with(ABI) {
            lines += code(&file.content).count();
        }
        for (number, line) in code(&file.content) {
            for module in ["fs", "process", "net"].iter().filter(|module| names(line, module)) {
                let message =
                    format!("the contract must not use `std::{module}`: a plan is data, and only the host acts");
                findings.push(Finding::new(&file.path, Some(number), message));
            }
        }
    }
    if lines >= CORE_LINES {
        let message = format!(
            "the contract has {lines} lines of code, and has to stay below {CORE_LINES}: authors of \
                components read all of it"
        );
        findings.push(Finding::new(CORE, None, message));
    }
    findings
}

/// Whether a line uses a module of std, alone or in a group.
fn names(line: &str, module: &str) -> bool {
    let Some((_, rest)) = line.split_once("std::") else { return false };
    let parts = rest.trim_start_matches('{').split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let mut parts = parts.map(|part| part.split("::").next().unwrap_or_default());
    if rest.starts_with('{') { parts.any(|part| part == module) } else { parts.next() == Some(module) }
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    fn package(folder: &str, dependencies: &[(&str, bool)]) -> Package {
        Package {
            name: folder.replace("components/", "kubernix-"),
            version: "1.0.0".to_owned(),
            folder: folder.to_owned(),
            dependencies: dependencies.iter().map(|(name, dev)| ((*name).to_owned(), *dev)).collect(),
            binaries: Vec::new(),
            tests: Vec::new(),
        }
    }

    #[test]
    fn allowed_dependencies_pass() {
        let packages = [
            package("kubernix-core", &[("serde", false)]),
            package("kubernix-testkit", &[("kubernix-core", false)]),
            package("components/etcd", &[("kubernix-core", false), ("kubernix-testkit", true)]),
            package("host/plugins", &[("kubernix-core", false), ("host/toolchain", false)]),
            package("host/toolchain", &[]),
            package("kubernix-host", &[("kubernix-core", false), ("host/plugins", false)]),
            package("kubernix-cli", &[("kubernix-host", false), ("kubernix-etcd", false)]),
        ];
        assert_eq!(messages(&check(&packages)), Vec::<String>::new());
    }

    #[test]
    fn forbidden_dependencies_are_found() {
        let packages = [
            package("kubernix-core", &[("kubernix-host", false)]),
            package("components/etcd", &[("kubernix-testkit", false)]),
            package("components/crio", &[("kubernix-etcd", true)]),
            package("kubernix-host", &[("kubernix-etcd", false)]),
            package("kubernix-testkit", &[]),
            package("xtask", &[("kubernix-host", false)]),
            package("host/toolchain", &[("kubernix-core", false)]),
            package("host/sandbox", &[("host/toolchain", false)]),
            package("extras", &[]),
        ];
        let found = messages(&check(&packages));
        assert_eq!(found.len(), 8, "{found:#?}");
        assert!(
            found[1].starts_with("components/etcd/Cargo.toml: `kubernix-etcd` must not depend on `kubernix-testkit`")
        );
        assert!(found[7].starts_with("extras/Cargo.toml: this member isn't in"));
    }

    #[test]
    fn the_contract_uses_no_io() {
        let bad =
            "use std::fmt;\nuse std::{fmt, net::IpAddr};\nfn f() { std::fs::read(p) }\nuse crate::process::Process;\n";
        let found = messages(&contract(&[file("kubernix-core/src/a.rs", bad), file("kubernix-host/src/a.rs", bad)]));
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].starts_with("kubernix-core/src/a.rs:2: the contract must not use `std::net`"));
        assert!(found[1].starts_with("kubernix-core/src/a.rs:3: the contract must not use `std::fs`"));
    }

    #[test]
    fn the_contract_stays_small() {
        let big = "let a = 1;\n\n".repeat(CORE_LINES);
        let small = "let a = 1;\n".repeat(CORE_LINES - 1) + "#[cfg(test)]\nmod tests {\n    let a = 1;\n}\n";
        assert_eq!(contract(&[file("kubernix-core/src/a.rs", &big)]).len(), 1);
        assert_eq!(contract(&[file("kubernix-core/src/a.rs", &small)]), []);
        assert_eq!(contract(&[file("kubernix-core/src/abi/a.rs", &big)]), []);
    }
}
