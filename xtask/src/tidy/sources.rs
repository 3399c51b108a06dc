//! How a Rust file looks, and what only some of them may do.

use super::components::Runtime;
use super::text::{code, has_word, unquoted};
use super::{File, Finding};

/// A file of more lines fails.
const MOST_LINES: usize = 500;
/// A file of more lines is mentioned.
const MANY_LINES: usize = 300;

/// Where `unsafe` may stand: at the plugin boundary and at the kernel's.
const UNSAFE: &[&str] = &[
    "kubernix-core/src/abi",
    "host/plugins/src/loader.rs",
    "host/sandbox/src/",
    "host/toolchain/src/command.rs",
    "images/pause/",
    "tests/preload/",
];
/// Where programs are started.
const STARTS: &[&str] = &[
    "host/sandbox/src/process/",
    "host/sandbox/src/sandbox/",
    "host/toolchain/src/",
    "kubernix-cli/src/program.rs",
    "xtask/",
    "tests/",
];
/// Where a CRI runtime may be known by name, its own component aside: what makes a plugin's
/// template of it, the default of the slot, the table of binaries, tests, and this check.
const RUNTIME: &[&str] =
    &["kubernix-cli/build.rs", "kubernix-host/src/graph/slots.rs", "host/toolchain/src/", "tests/", "xtask/src/tidy/"];

/// Checks a Rust file; finds nothing in others. `runtimes` are the components that fill `cri`.
pub fn check(file: &File, runtimes: &[Runtime]) -> Vec<Finding> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut found = |line, message: String| findings.push(Finding::new(&file.path, line, message));
    if !file.content.starts_with("//!") {
        found(
            Some(1),
            "a module opens with `//!`: what it is for and what it must not know, so that no reader has to guess"
                .to_owned(),
        );
    }
    let lines = file.content.lines().count();
    if lines > MOST_LINES {
        found(None, format!("{lines} lines, more than {MOST_LINES}: there is a room of its own in it"));
    }
    let within = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
    // Tests in files of their own: `#[cfg(test)] mod tests;`.
    let is_test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    for (number, line) in code(&file.content) {
        let plain = unquoted(line);
        if !within(UNSAFE) && has_word(&plain, "unsafe") {
            found(Some(number), format!("`unsafe` stands only in {}: that much can be reviewed", UNSAFE.join(", ")));
        }
        // A build script runs before anything is supervised.
        if !within(STARTS) && !is_test && !file.path.ends_with("build.rs") && starts_programs(&plain) {
            found(
                Some(number),
                format!("programs are started only in {}: a stray child escapes supervision", STARTS.join(", ")),
            );
        }
        let own = |runtime: &Runtime| file.path.starts_with(&runtime.folder);
        if !within(RUNTIME) && !is_test && !runtimes.iter().any(own) && knows_runtime(line, runtimes) {
            let message = "a CRI runtime is known by name only to its own component and to the default of the slot `cri`: whatever \
                           fills the slot must do";
            found(Some(number), message.to_owned());
        }
    }
    findings
}

/// Mentions a Rust file that grows.
pub fn note(file: &File) -> Option<Finding> {
    let lines = file.content.lines().count();
    let grows = file.path.ends_with(".rs") && lines > MANY_LINES && lines <= MOST_LINES;
    grows.then(|| Finding::new(&file.path, None, format!("{lines} lines, more than {MANY_LINES}")))
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
    fn files_say_what_they_are_and_stay_short() {
        assert!(messages(&check(&file("a.rs", "use b;\n"), &[]))[0].starts_with("a.rs:1: a module opens with"));
        assert!(found("a.rs", &"x\n".repeat(500))[0].contains("more than 500"));
        assert_eq!(found("a.rs", &"x\n".repeat(498)), Vec::<String>::new());
        let noted = |lines: usize| note(&file("a.rs", &"x\n".repeat(lines))).is_some();
        assert_eq!([300, 301, 500, 501].map(noted), [false, true, true, false]);
        assert!(check(&file("a.toml", &"x\n".repeat(900)), &[]).is_empty());
    }

    #[test]
    fn what_is_unsafe_has_its_rooms() {
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
    fn programs_are_started_in_few_places() {
        for bad in [
            "use std::process::Command;",
            "use std::process::{Command, Stdio};",
            "tokio::process::Child",
            "std::process::Command::new(x)",
        ] {
            assert_eq!(found("kubernix-host/src/images/mod.rs", bad).len(), 1, "{bad}");
            assert!(found("host/toolchain/src/go/build.rs", bad).is_empty(), "{bad}");
        }
        assert!(found("kubernix-core/src/context.rs", "use crate::process::Command;").is_empty());
        assert!(found("kubernix-cli/src/main.rs", "use std::process::{ExitCode, exit};").is_empty());
    }

    #[test]
    fn nobody_asks_which_runtime_it_is() {
        let bad = "if name == \"crio\" { x }";
        assert_eq!(found("kubernix-host/src/engine/mod.rs", bad).len(), 1);
        assert_eq!(found("kubernix-host/src/engine/mod.rs", "if runtime == other {").len(), 1);
        assert!(found("components/crio/src/lib.rs", bad).is_empty());
        assert_eq!(found("components/other/src/lib.rs", bad).len(), 1);
        assert!(found("kubernix-host/src/graph/tests.rs", bad).is_empty());
        assert!(found("kubernix-host/src/engine/mod.rs", "x(); // as \"crio\" does").is_empty());
        let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n    {bad}\n}}");
        assert!(found("kubernix-host/src/spec/mod.rs", &tests).is_empty());
    }
}
