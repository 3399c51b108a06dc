//! The man pages are complete and well-formed, and `docs/cli.md` is current.

use super::{commands, man, markdown};
use crate::cli::{Cli, name_the_image};
use clap::Parser;
use similar::TextDiff;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes `docs/cli.md` instead of comparing with it.
const UPDATE: &str = "UPDATE_GOLDENS";

#[test]
fn the_command_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let text = markdown::page(&commands());
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        fs::write(&path, text).unwrap();
        return;
    }
    let saved = fs::read_to_string(&path).unwrap_or_default();
    let diff = TextDiff::from_lines(saved.as_str(), &text).unified_diff().header("docs/cli.md", "clap").to_string();
    assert!(saved == text, "docs/cli.md is outdated: run this test with {UPDATE}=1\n{diff}");
}

#[test]
fn the_reference_has_each_command_with_its_options() {
    let text = markdown::page(&commands());
    for part in [
        "\n## kubernix up\n",
        "\n### kubernix node add\n",
        "\n- `--count N`: ",
        "\n- `-f`, `--follow`: ",
        "[default: 1]",
        "one of `text`, `json` [default: text]",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(text.matches("\nMore: [").count(), markdown::DOCUMENTS.len(), "a linked command doesn't exist\n{text}");
    assert!(!text.contains("kubernix help") && !text.contains("kubernix node help"), "{text}");
    assert_eq!(text.matches("- `--name NAME`").count(), 1, "global options are listed once\n{text}");
}

#[test]
fn every_command_has_a_man_page() {
    let directory = tempfile::tempdir().unwrap();
    let commands = commands();
    let pages = man::write(&commands, &directory.path().join("man1")).unwrap();
    let names: BTreeSet<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names.len(), commands.len(), "two commands have the same page: {names:?}");
    for command in &commands {
        let full = command.get_bin_name().unwrap();
        assert!(names.contains(format!("{}.1", full.replace(' ', "-")).as_str()), "{full}: {names:?}");
    }
}

#[test]
fn man_pages_are_well_formed() {
    for command in commands() {
        let page = String::from_utf8(man::page(&command).unwrap()).unwrap();
        let name = command.get_bin_name().unwrap().replace(' ', "-");
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        assert_eq!(sections[..3], ["NAME", "SYNOPSIS", "DESCRIPTION"], "{name}");
        let title = format!(".TH {name} 1 \" \" \"kubernix {}\" KuberNix", env!("CARGO_PKG_VERSION"));
        assert!(page.lines().any(|line| line.trim_end() == title), "{name}: no title\n{page}");
        // `whatis` and `apropos` read this line, and expect a hyphen between name and description.
        let about = command.get_about().unwrap_or_else(|| panic!("{name} has no description")).to_string();
        let plain = page.replace("\\-", "-").replace("\\*(Aq", "'");
        assert!(plain.contains(&format!("\n{name} - {about}\n")), "{plain}");
    }
}

/// Where the formatter of `man` is installed, it reads every page without a warning.
#[test]
fn groff_accepts_every_man_page() {
    let Ok(groff) = which("groff") else { return };
    let directory = tempfile::tempdir().unwrap();
    let pages = man::write(&commands(), directory.path()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a formatter in a test, no part of a cluster")]
    let output = std::process::Command::new(groff)
        .args(["-man", "-ww", "-b", "-Tutf8", "-z", "-K", "utf8"])
        .args(&pages)
        .output()
        .unwrap();
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && warnings.is_empty(), "{warnings}");
}

fn which(program: &str) -> Result<PathBuf, ()> {
    let path = std::env::var_os("PATH").ok_or(())?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file()).ok_or(())
}

#[test]
fn command_lines_in_documents_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = listed.chain([root.join("README.md"), root.join("CONTRIBUTING.md")]);
    let mut checked = 0;
    for document in documents.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        for line in command_lines(&fs::read_to_string(&document).unwrap()) {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            if let Err(error) = Cli::try_parse_from(name_the_image(args)) {
                panic!("{}: `{line}`: {error}", document.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} command lines were found");
}

/// The calls of `kubernix` in a document's shell examples, without comments, and without examples
/// that have placeholders.
fn command_lines(document: &str) -> Vec<String> {
    let mut shell = false;
    let mut lines = Vec::new();
    for line in document.replace("\\\n", " ").lines() {
        let line = line.trim();
        if line.starts_with("```") {
            shell = line == "```sh";
        } else if shell {
            let code = line.split(" #").next().unwrap_or_default();
            let parts = code.split(['|', '&', ';', '>']).map(|part| part.trim().trim_start_matches("sudo "));
            lines.extend(parts.filter(|part| part.starts_with("kubernix ")).map(str::to_owned));
        }
    }
    lines.retain(|line| !line.contains("...") && !line.contains('[') && !line.contains('$'));
    lines
}

#[test]
fn command_lines_are_read_from_shell_examples() {
    let document = "kubernix no\n```sh\nkubernix up \\\n  --wait node   # kubernix no\nsudo kubernix stop && kubernix up\n\
                    kubernix logs NAME...\n```\n```text\nkubernix no\n```\n";
    let lines: Vec<String> =
        command_lines(document).iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["kubernix up --wait node", "kubernix stop", "kubernix up"]);
}
