//! Errors of the toolchain. An error lists everything that is wrong, so that one run shows all
//! missing tools.
//!
//! This module only formats. It must not know how a problem was found.

use std::fmt::{self, Write};
use std::path::PathBuf;

/// Why a request can't be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Binaries of the user that can't be used: all of them.
    #[error("{}", list_overrides(.0))]
    Overrides(Vec<OverrideError>),
    /// Tools that no provider can supply.
    #[error("{}", list_missing(.tools, .packages))]
    Missing {
        /// The tools, by name.
        tools: Vec<MissingTool>,
        /// The command that installs all host packages that would help, if there are any.
        packages: Option<String>,
    },
    /// The user interrupted the command. Unfinished work was removed.
    #[error("interrupted")]
    Interrupted,
}

/// A tool that no provider can supply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingTool {
    /// The tool's name.
    pub name: String,
    /// The required version: `1.36.3`, `>=2.1.6`, or empty.
    pub wanted: String,
    /// The providers that were asked, in their order, each with the reason why it can't supply the
    /// tool.
    pub refusals: Vec<(&'static str, String)>,
    /// The most similar name of the table, if the table doesn't have this one.
    pub nearest: Option<String>,
}

/// A binary of the user that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideError {
    /// The tool that it is for.
    pub name: String,
    /// The path, made absolute.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: OverrideProblem,
}

/// Why a binary of the user can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverrideProblem {
    /// The path doesn't exist.
    NotFound,
    /// It isn't a regular file, but a directory or device.
    NotAFile,
    /// The tool is a group of programs, and the path isn't a directory.
    NotADirectory,
    /// It is one program of a group, which can only be replaced as a whole.
    PartOfGroup {
        /// The group.
        group: String,
    },
    /// It isn't executable.
    NotExecutable {
        /// Its permissions.
        mode: u32,
    },
    /// It prints no version.
    NoVersion {
        /// The reason.
        reason: String,
    },
    /// Its version doesn't fit.
    WrongVersion {
        /// Its version.
        found: String,
        /// The required version.
        wanted: String,
    },
    /// The path can't be examined.
    Unreadable {
        /// The reason.
        reason: String,
    },
}

impl fmt::Display for OverrideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = (&self.name, self.path.display());
        match &self.problem {
            OverrideProblem::NotFound => write!(f, "{name}: {path} doesn't exist"),
            OverrideProblem::NotAFile => write!(f, "{name}: {path} isn't a file"),
            OverrideProblem::NotADirectory => {
                write!(f, "{name}: {path} isn't a directory: {name} is a directory of several programs")
            }
            OverrideProblem::PartOfGroup { group } => write!(
                f,
                "{name}: it is one of the programs of {group}, which share a directory: \
                 replace all of them with --set {group}.binary=DIRECTORY"
            ),
            OverrideProblem::NotExecutable { mode } => {
                write!(f, "{name}: {path} isn't executable (mode {mode:04o}): chmod +x {path}")
            }
            OverrideProblem::NoVersion { reason } => {
                write!(f, "{name}: {reason}\nto use it anyway: --set {name}.any-version=true")
            }
            OverrideProblem::WrongVersion { found, wanted } => write!(
                f,
                "{name}: {path} has version {found}, but {wanted} is required; to use it anyway: --set {name}.any-version=true"
            ),
            OverrideProblem::Unreadable { reason } => write!(f, "{name}: {path}: {reason}"),
        }
    }
}

fn list_overrides(errors: &[OverrideError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn list_missing(tools: &[MissingTool], packages: &Option<String>) -> String {
    let mut text = match tools {
        [_] => String::from("a tool is missing, and no provider can supply it:"),
        _ => format!("{} tools are missing, and no provider can supply them:", tools.len()),
    };
    // Tools with the same refusals share a paragraph: several are built from one module.
    let mut paragraphs: Vec<(&MissingTool, Vec<&str>)> = Vec::new();
    for tool in tools {
        let is_same = |(first, _): &&mut (&MissingTool, _)| {
            (&first.wanted, &first.refusals, &first.nearest) == (&tool.wanted, &tool.refusals, &tool.nearest)
        };
        match paragraphs.iter_mut().find(is_same) {
            Some((_, names)) => names.push(&tool.name),
            None => paragraphs.push((tool, vec![&tool.name])),
        }
    }
    let mut shown: Vec<&str> = Vec::new();
    for (tool, names) in paragraphs {
        let _ = write!(text, "\n  {} {}", names.join(", "), tool.wanted);
        text.truncate(text.trim_end().len());
        for (provider, reason) in &tool.refusals {
            // The output of a compiler or a package manager is shown once.
            let reason_text = match reason.split_once('\n') {
                Some((first, _)) if shown.contains(&reason.as_str()) => format!("{first} see above"),
                _ => reason.replace('\n', "\n      "),
            };
            shown.push(reason);
            let _ = write!(text, "\n    {provider}: {reason_text}");
        }
        if let Some(nearest) = &tool.nearest {
            let _ = write!(text, "\n    did you mean {nearest}?");
        }
    }
    if let Some(command) = packages {
        let _ = write!(text, "\nto install the missing packages: {command}");
    }
    let example = tools.first().map_or("NAME", |tool| &tool.name);
    let _ = write!(text, "\nto use a binary of your own: --set {example}.binary=PATH");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_compiler_is_shown_once() {
        let tool = |name: &str, wanted: &str| MissingTool {
            name: name.to_owned(),
            wanted: wanted.to_owned(),
            refusals: vec![("go", "go failed (exit status: 1):\nno space left on device".to_owned())],
            nearest: None,
        };
        let tools = vec![tool("crio", "1.36.3"), tool("pinns", "1.36.3"), tool("runc", "1.5.2")];
        let expected = "3 tools are missing, and no provider can supply them:
  crio, pinns 1.36.3
    go: go failed (exit status: 1):
      no space left on device
  runc 1.5.2
    go: go failed (exit status: 1): see above
to use a binary of your own: --set crio.binary=PATH";
        assert_eq!(Error::Missing { tools, packages: None }.to_string(), expected);
    }
}
