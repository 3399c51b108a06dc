//! What a provider is: a way to get a tool.
//!
//! A provider first only looks ([`Provider::offer`]), quickly and for each tool; what has to be
//! built or installed is then done for many at once ([`Provider::supply`]). `download` and `nix`
//! can be added by an `impl` and a line in [`in_order`].

use super::answers::Answers;
use super::host_package::Apt;
use super::table::{Table, ToolSpec};
use super::{Reporter, ToolState};
use super::{Tool, cache::Cache, go::Go, host_package::HostPackage, path::OnPath};
use semver::Version;
use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;

/// A tool that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its entry of the table; a tool without one is only looked for on PATH.
    pub spec: Option<&'a ToolSpec>,
}

/// Where a tool lies: a program, or a group's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute path.
    pub path: PathBuf,
    /// The version, if it is known.
    pub version: Option<Version>,
}

/// What a provider can do about a tool.
#[derive(Debug, PartialEq)]
pub enum Offer {
    /// Nothing, and that isn't worth a word: this isn't a tool for it.
    Silent,
    /// Nothing, and why.
    No {
        /// The reason, with the way out.
        reason: String,
        /// Host packages that would change that.
        packages: Vec<String>,
    },
    /// It is there already.
    Has(Found),
    /// It can be supplied, once these host packages are installed.
    Can {
        /// Names of packages that aren't installed yet.
        packages: Vec<String>,
    },
}

impl Offer {
    /// A refusal that no package would change.
    pub fn no(reason: impl Into<String>) -> Self {
        Self::No { reason: reason.into(), packages: Vec::new() }
    }
}

/// Told what became of a tool.
pub type Done<'a> = dyn FnMut(usize, Result<Found, String>) + 'a;

/// A way to get tools.
pub trait Provider {
    /// What it is called in events, errors and records.
    fn name(&self) -> &'static str;

    /// Whether it only finds tools that are there, and never supplies one.
    fn only_finds(&self) -> bool {
        false
    }

    /// Looks whether it has a tool or could supply it. Fast, changes nothing.
    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer;

    /// Supplies tools that it said it can, with their packages installed, and calls `done` for each
    /// as soon as it is there or has failed, with its place in `wanted`.
    fn supply(&self, wanted: &[Wanted<'_>], session: &Session<'_>, done: &mut Done<'_>);
}

/// All providers, in the order in which they are asked.
pub fn in_order() -> Vec<Box<dyn Provider>> {
    vec![Box::new(OnPath), Box::new(Cache), Box::new(Go::default()), Box::new(HostPackage)]
}

/// What one resolution works with.
pub struct Session<'a> {
    /// What is known of the tools.
    pub table: &'a Table,
    /// The toolchain's directory in the user's cache.
    pub dir: PathBuf,
    /// Directories that are searched for programs, as in PATH.
    pub search: OsString,
    /// The package manager.
    pub apt: Apt,
    /// What programs said of themselves.
    pub answers: RefCell<Answers>,
    /// Is told what happens.
    pub reporter: &'a dyn Reporter,
}

impl Session<'_> {
    /// Tells how far a tool is.
    pub fn tell(&self, name: &str, state: ToolState) {
        self.reporter.tool(name, state);
    }

    /// Tells that a tool is there.
    pub fn tell_ready(&self, tool: &Tool) {
        let Tool { name, path, version, provider } = tool.clone();
        self.reporter.tool(&name, ToolState::Ready { provider, version, path });
    }

    /// The version of a program of a tool.
    ///
    /// # Errors
    /// Says why the program gave none.
    pub fn version(&self, path: &std::path::Path, spec: &ToolSpec) -> Result<(Version, bool), String> {
        self.answers.borrow_mut().version(path, spec)
    }

    /// The programs of this name in the search path, first one first.
    pub fn find_all(&self, name: &str) -> Vec<PathBuf> {
        let found = which::which_in_all(name, Some(&self.search), "/");
        found.map(Iterator::collect).unwrap_or_default()
    }

    /// The first program of this name in the search path.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        which::which_in(name, Some(&self.search), "/").ok()
    }
}
