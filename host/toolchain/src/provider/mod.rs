//! The interface of providers: ways to get a tool.
//!
//! A provider first checks each tool, quickly ([`Provider::offer`]). Tools that must be built or
//! installed are then supplied together ([`Provider::supply`]). A new provider, such as `download`
//! or `nix`, is an `impl` and a line in [`in_order`].

mod cache;
mod go;
pub mod host_package;
mod path;

use crate::Tool;
use crate::table::{Table, ToolSpec};
use crate::version_cache::{VersionCache, VersionError};
use crate::{Reporter, ToolState};
use cache::Cache;
use go::Go;
use host_package::Apt;
use host_package::HostPackage;
use path::OnPath;
use semver::Version;
use std::cell::RefCell;
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;

/// A tool that is requested.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its entry of the table. A tool without one is only searched on PATH.
    pub spec: Option<&'a ToolSpec>,
}

/// The location of a tool: a program, or a group's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The absolute path.
    pub path: PathBuf,
    /// The version, if it is known.
    pub version: Option<Version>,
}

/// What a provider can do for a tool.
#[derive(Debug, PartialEq)]
pub enum Offer {
    /// Nothing: it isn't responsible for this tool. Errors don't mention it.
    NotApplicable,
    /// Nothing, for a reason that errors show.
    Unavailable {
        /// The reason, with the way out.
        reason: String,
        /// Host packages that would make it available.
        packages: Vec<String>,
    },
    /// The tool exists.
    Found(Found),
    /// It can supply the tool once these host packages are installed.
    Available {
        /// The packages that aren't installed yet.
        packages: Vec<String>,
    },
}

impl Offer {
    /// Nothing, for a reason that no package would change.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), packages: Vec::new() }
    }
}

/// Is called with the result for each tool: its index in the list of tools, and its location.
pub type OnResult<'a> = dyn FnMut(usize, Result<&Found, &dyn Error>) + 'a;

/// A way to get tools.
pub trait Provider {
    /// Its name in events, errors and records.
    fn name(&self) -> &'static str;

    /// Whether it only finds existing tools, and never supplies one.
    fn only_finds(&self) -> bool {
        false
    }

    /// Checks whether it has a tool, or could supply it. Fast, and changes nothing.
    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer;

    /// Supplies tools that it offered as available, with their packages installed. Calls
    /// `on_result` for each tool as soon as it exists or has failed. A provider that only finds
    /// supplies nothing.
    fn supply(&self, _wanted: &[Wanted<'_>], _session: &Session<'_>, _on_result: &mut OnResult<'_>) {}
}

/// All providers, in the order in which they are asked.
pub fn in_order() -> Vec<Box<dyn Provider>> {
    vec![Box::new(OnPath), Box::new(Cache), Box::new(Go::default()), Box::new(HostPackage)]
}

/// The state of one resolution.
pub struct Session<'a> {
    /// The table of tools.
    pub table: &'a Table,
    /// The toolchain's directory in the user's cache.
    pub dir: PathBuf,
    /// The directories that are searched for programs, as in PATH.
    pub search: OsString,
    /// The package manager.
    pub apt: Apt,
    /// The versions of programs.
    pub versions: RefCell<VersionCache>,
    /// Receives the progress.
    pub reporter: &'a dyn Reporter,
}

impl Session<'_> {
    /// Reports the state of a tool.
    pub fn report(&self, name: &str, state: ToolState) {
        self.reporter.tool(name, state);
    }

    /// Reports that a tool exists.
    pub fn report_ready(&self, tool: &Tool) {
        let Tool { name, path, version, provider } = tool.clone();
        self.reporter.tool(&name, ToolState::Ready { provider, version, path });
    }

    /// The version of a tool's program, and whether the program was run for it.
    ///
    /// # Errors
    /// The program doesn't print a version.
    pub fn version(&self, path: &std::path::Path, spec: &ToolSpec) -> Result<(Version, bool), VersionError> {
        self.versions.borrow_mut().version(path, spec)
    }

    /// The programs of this name in the search path, in its order.
    pub fn find_all(&self, name: &str) -> Vec<PathBuf> {
        let found = which::which_in_all(name, Some(&self.search), "/");
        found.map(Iterator::collect).unwrap_or_default()
    }

    /// The first program of this name in the search path.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        which::which_in(name, Some(&self.search), "/").ok()
    }
}
