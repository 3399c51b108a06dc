//! Checks Rust files: module docs, length, and code that only some files may have.

use super::components::Runtime;
use super::text::{code, has_word, unquoted};
use super::{File, Finding};

/// The maximum lines of a file.
const MAX_LINES: usize = 500;
/// A file with more lines is noted.
const NOTED_LINES: usize = 300;

/// The files that may have `unsafe`: at the boundary to plugins and to the kernel.
const UNSAFE_FILES: &[&str] = &[
    "kubernix-core/src/abi",
    "host/plugins/src/loader.rs",
    "host/sandbox/src/",
    "host/toolchain/src/command.rs",
    "images/pause/",
    "tests/preload/",
];
/// The files that may start programs.
const SPAWNERS: &[&str] = &[
    "host/sandbox/src/process/",
    "host/sandbox/src/sandbox/",
    "host/toolchain/src/",
    "kubernix-cli/src/program.rs",
    "xtask/",
    "tests/",
];
/// The files that may know a CRI runtime by name, besides its own component: the template of
/// plugins, the default of the slot, the table of binaries, tests, and this check.
const KNOWS_RUNTIMES: &[&str] =
    &["kubernix-cli/build.rs", "kubernix-host/src/graph/slots.rs", "host/toolchain/src/", "tests/", "xtask/src/tidy/"];

/// Checks a Rust file, and ignores others. `runtimes` are the components that fill `cri`.
pub fn check(file: &File, runtimes: &[Runtime]) -> Vec<Finding> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut found = |line, message: String| findings.push(Finding::new(&file.path, line, message));
    if !file.content.starts_with("//!") {
        found(Some(1), "a module begins with `//!`: its purpose and what it must not know".to_owned());
    }
    let lines = file.content.lines().count();
    if lines > MAX_LINES {
        found(None, format!("{lines} lines, more than {MAX_LINES}: split it"));
    }
    let within = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
    // Tests in files of their own: `#[cfg(test)] mod tests;`.
    let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    for (number, line) in code(&file.content) {
        let plain = unquoted(line);
        if !within(UNSAFE_FILES) && has_word(&plain, "unsafe") {
            found(
                Some(number),
                format!("`unsafe` stands only in {}: so that all of it can be reviewed", UNSAFE_FILES.join(", ")),
            );
        }
        // A build script runs before anything is supervised.
        if !within(SPAWNERS) && !is_test && !file.path.ends_with("build.rs") && starts_programs(&plain) {
            found(
                Some(number),
                format!("programs are started only in {}: a stray child escapes supervision", SPAWNERS.join(", ")),
            );
        }
        let own = |runtime: &Runtime| file.path.starts_with(&runtime.folder);
        if !within(KNOWS_RUNTIMES) && !is_test && !runtimes.iter().any(own) && knows_runtime(line, runtimes) {
            let message = "only its own component and the default of the slot `cri` may know a CRI runtime by name: \
            all components that fill the slot have to work";
            found(Some(number), message.to_owned());
        }
    }
    findings
}

/// Notes a Rust file that gets long.
pub fn note(file: &File) -> Option<Finding> {
    let lines = file.content.lines().count();
    let grows = file.path.ends_with(".rs") && lines > NOTED_LINES && lines <= MAX_LINES;
    grows.then(|| Finding::new(&file.path, None, format!("{lines} lines, more than {NOTED_LINES}")))
}

fn starts_programs(line: &str) -> bool {
    let grouped = line.trim_start().starts_with("use std::process::{") && has_word(line, "Command");
    grouped || ["std::process::Command", "tokio::process"].iter().any(|path| has_word(line, path))
}

fn knows_runtime(line: &str, runtimes: &[Runtime]) -> bool {
    let mut names = runtimes.iter().flat_map(|runtime| &runtime.names);
    let quoted = names.any(|name| line.contains(&format!("\"{name}\"")));
    quoted || ["runtime == ", "runtime != "].iter().any(|comparison| has_word(line, comparison))
}

#[cfg(test)]
mod tests {
    use super::super::{file, messages};
    use super::*;

    fn found(path: &str, code: &str) -> Vec<String> {
        let runtime = Runtime { folder: "components/crio/".to_owned(), names: vec!["crio".to_owned()] };
        messages(&check(&file(path, &format!("//! About.\n{code}\n")), &[runtime]))
    }

    #[test]
    fn files_need_module_docs_and_stay_short() {
        assert!(messages(&check(&file("a.rs", "use b;\n"), &[]))[0].starts_with("a.rs:1: a module begins with"));
        assert!(found("a.rs", &"x\n".repeat(500))[0].contains("more than 500"));
        assert_eq!(found("a.rs", &"x\n".repeat(498)), Vec::<String>::new());
        let noted = |lines: usize| note(&file("a.rs", &"x\n".repeat(lines))).is_some();
        assert_eq!([300, 301, 500, 501].map(noted), [false, true, true, false]);
        assert!(check(&file("a.toml", &"x\n".repeat(900)), &[]).is_empty());
    }

    #[test]
    fn unsafe_is_allowed_only_in_listed_files() {
        assert!(
            found("kubernix-host/src/pki/mod.rs", "    unsafe { f() }")[0]
                .contains("pki/mod.rs:2: `unsafe` stands only in")
        );
        assert!(found("host/sandbox/src/process/spawn.rs", "unsafe { f() }").is_empty());
        assert!(found("kubernix-core/src/abi/adapter.rs", "unsafe { f() }").is_empty());
        assert!(found("kubernix-host/src/pki/mod.rs", "#![deny(unsafe_op_in_unsafe_fn)] // unsafe").is_empty());
        assert!(found("kubernix-host/src/pki/mod.rs", "f(\"unsafe\")").is_empty());
    }

    #[test]
    fn programs_are_started_only_in_listed_files() {
        for bad in [
            "use std::process::Command;",
            "use std::process::{Command, Stdio};",
            "tokio::process::Child",
            "std::process::Command::new(x)",
        ] {
            assert_eq!(found("kubernix-host/src/images/mod.rs", bad).len(), 1, "{bad}");
            assert!(found("host/toolchain/src/provider/go/build.rs", bad).is_empty(), "{bad}");
        }
        assert!(found("kubernix-core/src/context.rs", "use crate::process::Command;").is_empty());
        assert!(found("kubernix-cli/src/main.rs", "use std::process::{ExitCode, exit};").is_empty());
    }

    #[test]
    fn runtimes_are_known_by_name_only_in_listed_files() {
        let bad = "if name == \"crio\" { x }";
        assert_eq!(found("kubernix-host/src/engine/mod.rs", bad).len(), 1);
        assert_eq!(found("kubernix-host/src/engine/mod.rs", "if runtime == other {").len(), 1);
        assert!(found("components/crio/src/lib.rs", bad).is_empty());
        assert_eq!(found("components/other/src/lib.rs", bad).len(), 1);
        assert!(found("kubernix-host/src/graph/tests.rs", bad).is_empty());
        assert!(found("kubernix-host/src/engine/mod.rs", "x(); // as \"crio\" does").is_empty());
        let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n    {bad}\n}}");
        assert!(found("kubernix-host/src/settings/mod.rs", &tests).is_empty());
    }
}
