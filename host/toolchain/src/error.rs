//! Errors of the toolchain. All of them are listed at once: no user wants to install tools one
//! failed start at a time.
//!
//! This module must not know how anything was found out; it words it.

use std::fmt::{self, Write};
use std::path::PathBuf;

/// Why a request can't be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Binaries that the user named don't fit: all of them.
    #[error("{}", list_overrides(.0))]
    Overrides(Vec<OverrideError>),
    /// Tools that no provider can supply: all that are known to be so.
    #[error("{}", list_missing(.tools, .packages))]
    Missing {
        /// The tools, by name.
        tools: Vec<MissingTool>,
        /// The command that installs all host packages that would help, where there are such.
        packages: Option<String>,
    },
    /// Ctrl-C; what was begun is cleared away.
    #[error("interrupted")]
    Interrupted,
}

/// A tool that no provider can supply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingTool {
    /// The tool's name.
    pub name: String,
    /// The version that is wanted, as people read it: `1.36.3`, `>=2.1.6`, or empty.
    pub wanted: String,
    /// What each provider that was asked said, in their order.
    pub said: Vec<(&'static str, String)>,
    /// The tool that was probably meant, where the table doesn't know the name.
    pub nearest: Option<String>,
}

/// A binary of the user's own that doesn't fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideError {
    /// The tool it was meant to be.
    pub name: String,
    /// The path, made absolute.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: OverrideProblem,
}

/// What is wrong with a binary of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverrideProblem {
    /// There is nothing at the path.
    NotFound,
    /// It is there, but not what it should be: a directory, a device.
    NotAFile,
    /// A group of programs was asked for, and this isn't a directory.
    NotADirectory,
    /// It is one program of a group, and a group is replaced as a whole.
    PartOfGroup {
        /// The group.
        group: String,
    },
    /// It may not be executed.
    NotExecutable {
        /// Its permissions.
        mode: u32,
    },
    /// It wouldn't tell its version.
    NoVersion {
        /// What happened instead.
        reason: String,
    },
    /// Its version doesn't fit.
    WrongVersion {
        /// What it told.
        found: String,
        /// What would fit.
        wanted: String,
    },
    /// The path can't be looked at.
    Unreadable {
        /// Why.
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
                write!(f, "{name}: {path} isn't a directory: {name} is several programs that lie in one")
            }
            OverrideProblem::PartOfGroup { group } => write!(
                f,
                "{name}: it belongs to {group}, whose programs share one directory: name one that holds them all with --set {group}.binary=DIRECTORY"
            ),
            OverrideProblem::NotExecutable { mode } => {
                write!(f, "{name}: {path} isn't executable (mode {mode:04o}): chmod +x {path}")
            }
            OverrideProblem::NoVersion { reason } => {
                write!(f, "{name}: {reason}\nto use it all the same: --set {name}.any-version=true")
            }
            OverrideProblem::WrongVersion { found, wanted } => write!(
                f,
                "{name}: {path} is of version {found}, but {wanted} is wanted; to use it all the same: --set {name}.any-version=true"
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
        [_] => String::from("a tool is missing, and nothing here can supply it:"),
        _ => format!("{} tools are missing, and nothing here can supply them:", tools.len()),
    };
    // Tools that share a fate share a paragraph: six of them are built from one module.
    let mut paragraphs: Vec<(&MissingTool, Vec<&str>)> = Vec::new();
    for tool in tools {
        let alike = |(first, _): &&mut (&MissingTool, _)| {
            (&first.wanted, &first.said, &first.nearest) == (&tool.wanted, &tool.said, &tool.nearest)
        };
        match paragraphs.iter_mut().find(alike) {
            Some((_, names)) => names.push(&tool.name),
            None => paragraphs.push((tool, vec![&tool.name])),
        }
    }
    let mut told: Vec<&str> = Vec::new();
    for (tool, names) in paragraphs {
        let _ = write!(text, "\n  {} {}", names.join(", "), tool.wanted);
        text.truncate(text.trim_end().len());
        for (provider, said) in &tool.said {
            // What a compiler or a package manager printed is told once.
            let shown = match said.split_once('\n') {
                Some((first, _)) if told.contains(&said.as_str()) => format!("{first} see above"),
                _ => said.replace('\n', "\n      "),
            };
            told.push(said);
            let _ = write!(text, "\n    {provider}: {shown}");
        }
        if let Some(nearest) = &tool.nearest {
            let _ = write!(text, "\n    did you mean {nearest}?");
        }
    }
    if let Some(command) = packages {
        let _ = write!(text, "\nto install the packages that are missing: {command}");
    }
    let example = tools.first().map_or("NAME", |tool| &tool.name);
    let _ = write!(text, "\nbinaries of your own can be named, as in --set {example}.binary=PATH");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compiler_printed_is_told_once() {
        let tool = |name: &str, wanted: &str| MissingTool {
            name: name.to_owned(),
            wanted: wanted.to_owned(),
            said: vec![("go", "go failed (exit status: 1):\nno space left on device".to_owned())],
            nearest: None,
        };
        let tools = vec![tool("crio", "1.36.3"), tool("pinns", "1.36.3"), tool("runc", "1.5.2")];
        let expected = "3 tools are missing, and nothing here can supply them:
  crio, pinns 1.36.3
    go: go failed (exit status: 1):
      no space left on device
  runc 1.5.2
    go: go failed (exit status: 1): see above
binaries of your own can be named, as in --set crio.binary=PATH";
        assert_eq!(Error::Missing { tools, packages: None }.to_string(), expected);
    }
}
