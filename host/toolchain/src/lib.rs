//! The toolchain: the binaries that a cluster needs, their versions, and how to get them.
//!
//! One table ([`Table`]) has every tool: ours, and those that manifests of plugins add. *Providers*
//! are asked in order: `path`, `cache`, `go`, `host package`. One error lists all tools that no
//! provider can supply, with the reason of each provider. If all tools exist, [`resolve`] runs no
//! program and takes a few milliseconds.
//!
//! This crate must not know components, clusters or root directories: names go in, paths come out.
//! A new provider implements `provider::Provider` and gets a line in `provider::in_order`.
//!
//! Other crates of the host use [`text`] and [`files`] as well: errors, positions and digits as
//! text, and atomic writes.

mod command;
mod error;
mod extend;
pub mod files;
mod home;
mod interrupt;
mod needs;
mod overrides;
mod pins;
mod progress;
mod provider;
mod report;
mod resolver;
mod sections;
mod table;
#[cfg(test)]
mod tests;
pub mod text;
mod version;
mod version_cache;

pub use error::{Error, MissingTool, OverrideError, OverrideProblem};
pub use extend::Conflict;
pub use home::home;
pub use pins::{Pins, PinsError};
pub use report::{Reporter, ToolState};
pub use sections::{EntryError, EntryProblem, Section};
pub use table::{GoModule, Need, Table, ToolSpec};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The tools to get.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Tools by name, see [`Table`]: `crio`, `cni`, or one program of a group, `bridge`. A name
    /// that the table doesn't have is searched on PATH, in any version. An absolute path is checked
    /// as an override of the tool that its last part names, if the table has that tool.
    pub names: Vec<String>,
    /// Tools that are only used if they exist. Missing ones are left out: they are neither built
    /// nor installed.
    pub optional: Vec<String>,
    /// The user's own binaries by tool name; a directory for a group. Those of tools that aren't
    /// requested are ignored.
    pub overrides: BTreeMap<String, PathBuf>,
    /// Tools whose override may have any version.
    pub any_version: BTreeSet<String>,
}

/// How to get tools.
#[derive(Debug, Clone)]
pub struct Options {
    /// The user's cache directory. Tools are in its subdirectory `toolchain/`, which all clusters
    /// share.
    pub cache_dir: PathBuf,
    /// Whether host packages may be installed. If not, the error has the command that does it.
    pub install: bool,
}

/// The version of a tool whose version isn't known.
pub const UNKNOWN_VERSION: &str = "unknown";

/// A tool that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name: a tool, a group (its path is the directory then), or a program of a group.
    pub name: String,
    /// The absolute path.
    pub path: PathBuf,
    /// The version that it printed or was built from; `unknown` if neither is known.
    pub version: String,
    /// The provider: `override`, `path`, `cache`, `go`, `host package`.
    pub provider: String,
}

/// The tools of a [`Request`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Tools by name. A group appears under its own name and those of all its programs.
    pub tools: BTreeMap<String, Tool>,
}

impl Resolution {
    /// The path of a tool.
    pub fn path(&self, name: &str) -> Option<&std::path::Path> {
        self.tools.get(name).map(|tool| tool.path.as_path())
    }
}

/// An entry of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The tool's name.
    pub name: String,
    /// Its programs, if it is a group of several in one directory.
    pub programs: Vec<String>,
    /// The version that is built from source, if it can be built.
    pub version: Option<String>,
    /// The versions that are used from PATH or a host package, as a semver requirement.
    pub requires: Option<String>,
    /// The manifest that added it; `None` for our own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
}

impl Known {
    /// Whether a binary of this name is the tool, or one of its programs.
    pub fn has(&self, binary: &str) -> bool {
        self.name == binary || self.programs.iter().any(|program| program == binary)
    }

    /// The version that a dry run assumes: the one that is built, or the least that fits.
    pub fn assumed_version(&self) -> Option<String> {
        self.version.clone().or_else(|| {
            let requires = semver::VersionReq::parse(self.requires.as_deref()?).ok()?;
            let least = requires.comparators.first()?;
            Some(format!("{}.{}.{}", least.major, least.minor.unwrap_or(0), least.patch.unwrap_or(0)))
        })
    }
}

/// All tools of a table, by name.
pub fn known(table: &Table) -> Vec<Known> {
    let entry = |(name, spec): (&String, &ToolSpec)| Known {
        name: name.clone(),
        programs: if spec.is_group() { spec.programs(name) } else { Vec::new() },
        version: table.version(spec).map(ToString::to_string),
        requires: spec.requires.as_ref().map(ToString::to_string),
        manifest: table.source(name).map(Into::into),
    };
    table.tool.iter().map(entry).collect()
}

/// Gets all tools of a request. Builds or installs those that don't exist yet.
///
/// # Errors
/// [`Error::Overrides`] with every override that can't be used. [`Error::Missing`] with every tool
/// that no provider can supply: before anything is built, if that is known by then.
pub fn resolve(
    table: &Table,
    request: &Request,
    options: &Options,
    reporter: &dyn Reporter,
) -> Result<Resolution, Error> {
    resolver::resolve(table, request, options, reporter)
}
