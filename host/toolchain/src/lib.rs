//! The toolchain: which binaries a cluster needs, in which versions, and where they come from.
//!
//! One table ([`Table`]) names every tool, ours and those that manifests of plugins add;
//! *providers* are asked in order: `path`, `cache`, `go`, `host package`. What no provider can
//! supply comes back as one error that lists all of it with what each provider said. [`resolve`] on
//! a machine where everything is in place runs no program and costs a few milliseconds.
//!
//! This crate must not know components, clusters or root directories: names go in, paths come out.
//! A new provider implements `provider::Provider` and takes its place in `provider::in_order`.
//!
//! [`text`] and [`files`] are what other crates of the host use as well: errors, positions and
//! digits as text, and files that are written as a whole.

mod answers;
mod cache;
mod command;
mod error;
mod extend;
pub mod files;
mod go;
mod home;
mod host_package;
mod interrupt;
mod needs;
mod overrides;
mod path;
mod pins;
mod progress;
mod provider;
mod report;
mod resolver;
mod table;
#[cfg(test)]
mod tests;
pub mod text;
mod version;

pub use error::{Error, MissingTool, OverrideError, OverrideProblem};
pub use extend::{Conflict, Section, Unsound};
pub use home::home;
pub use pins::Pins;
pub use report::{Reporter, ToolState};
pub use table::{GoModule, Need, Table, ToolSpec};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Tools by name, see [`Table`]: `crio`, `cni`, or one program of a group, `bridge`. A name
    /// that the table doesn't have is looked for on PATH, in any version. An absolute path is held
    /// against the tool that its last part names, where the table has that.
    pub names: Vec<String>,
    /// Tools that are only taken where they are there already. They are neither built nor
    /// installed, and left out if missing.
    pub optional: Vec<String>,
    /// The user's own binaries by tool name; a directory for a group. Tools that aren't asked for
    /// are left out.
    pub overrides: BTreeMap<String, PathBuf>,
    /// Tools whose override may have any version.
    pub any_version: BTreeSet<String>,
}

/// Where and how tools are got.
#[derive(Debug, Clone)]
pub struct Options {
    /// The user's cache directory; tools lie in `toolchain/` of it, shared by all clusters.
    pub cache_dir: PathBuf,
    /// Whether host packages may be installed. If not, the error says what to type.
    pub install: bool,
}

/// The version of a tool that can't be asked for one.
pub const UNKNOWN_VERSION: &str = "unknown";

/// A tool that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name: a tool, a group (its path is the directory then), or a program of a group.
    pub name: String,
    /// Absolute path.
    pub path: PathBuf,
    /// The version it told, or that it was built from; `unknown` where neither is known.
    pub version: String,
    /// The provider that supplied it: `override`, `path`, `cache`, `go`, `host package`.
    pub provider: String,
}

/// What came of a [`Request`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Tools by name. A group is there under its own name and those of all its programs.
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
    /// Its programs, where it is a group of several in one directory.
    pub programs: Vec<String>,
    /// The version that is built from source, where it can be.
    pub version: Option<String>,
    /// The versions that are taken from PATH or a host package, as a semver requirement.
    pub requires: Option<String>,
    /// The manifest that added it; none for our own.
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

/// Gets all tools of a request as the table says, building and installing what isn't there yet.
///
/// # Errors
/// [`Error::Overrides`] with every override that doesn't fit; [`Error::Missing`] with every tool
/// that no provider can supply, before anything slow is begun where that can be told.
pub fn resolve(
    table: &Table,
    request: &Request,
    options: &Options,
    reporter: &dyn Reporter,
) -> Result<Resolution, Error> {
    resolver::resolve(table, request, options, reporter)
}
