//! `cargo xtask tidy`: checks the invariants of ARCHITECTURE.md that the compiler doesn't check.
//! Each finding gives the rule's reason.

mod comments;
mod components;
mod dependencies;
mod diffs;
mod imports;
mod links;
mod manifests;
mod modules;
mod sources;
mod text;
mod words;

use crate::workspace::Workspace;
use crate::{exit_code, run};
use anyhow::{Context, Result};
use std::fmt;
use std::process::ExitCode;

/// A file of the repository, as text.
#[derive(Debug)]
struct File {
    /// Its path below the root.
    path: String,
    content: String,
}

/// A violation of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; `None` for the whole file.
    line: Option<usize>,
    message: String,
}

/// The result of the checks.
pub struct Report {
    files: usize,
    findings: Vec<Finding>,
    notes: Vec<Finding>,
}

impl Report {
    /// Whether all rules are kept.
    pub fn good(&self) -> bool {
        self.findings.is_empty()
    }

    /// The counts in one line.
    pub fn sum(&self) -> String {
        format!("{} files, {} findings, {} notes", self.files, self.findings.len(), self.notes.len())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for finding in &self.findings {
            writeln!(f, "error: {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

impl Finding {
    fn new(path: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// Checks the checkout and prints the findings.
pub fn run() -> Result<ExitCode> {
    let report = check(&Workspace::load()?)?;
    print!("{report}");
    println!("{}", report.sum());
    exit_code(report.good())
}

/// Checks the checkout.
pub fn check(workspace: &Workspace) -> Result<Report> {
    let files = files(workspace)?;
    let mut findings = dependencies::check(&workspace.packages);
    findings.extend(dependencies::contract(&files));
    findings.extend(links::check(&files));
    findings.extend(diffs::check(&files, |patch| applies(workspace, patch)));
    findings.extend(components::check(&files, &crate::components::names(workspace)));
    let runtimes = components::runtimes(&files);
    findings.extend(modules::check(&files));
    for file in &files {
        findings.extend(sources::check(file, &runtimes));
        findings.extend(words::check(file));
        findings.extend(comments::check(file));
        findings.extend(manifests::check(file));
    }
    Ok(Report { files: files.len(), findings, notes: files.iter().filter_map(sources::note).collect() })
}

/// Whether a patch applies to the checkout; fails with git's reason.
fn applies(workspace: &Workspace, patch: &str) -> Result<(), String> {
    let mut git = run::command("git");
    git.args(["apply", "--check", "-"]).current_dir(&workspace.root);
    run::with_input(&mut git, patch).map_err(|error| format!("{error:#}"))
}

/// The text files that are committed, or that `git add --all` would add.
fn files(workspace: &Workspace) -> Result<Vec<File>> {
    let mut git = run::command("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&workspace.root);
    let listed = run::output(&mut git)?;
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let full = workspace.root.join(path);
        // Skips deleted files that are still in the index, and links, whose targets are listed
        // themselves.
        if !full.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = std::fs::read(&full).with_context(|| format!("can't read {path}"))?;
        if let Ok(content) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), content });
        }
    }
    Ok(files)
}

#[cfg(test)]
fn file(path: &str, content: &str) -> File {
    File { path: path.to_owned(), content: content.to_owned() }
}

#[cfg(test)]
fn messages(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
