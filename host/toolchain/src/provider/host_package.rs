//! Provider `host package`: packages of the machine's package manager. Only Debian's so far.
//!
//! It reports the command, and installs all packages in one call, only as root and only if that is
//! allowed.

use crate::command::RunError;
use crate::provider::{Found, Offer, OnResult, Provider, Session, Wanted};
use crate::table::ToolSpec;
use crate::version_cache::VersionError;
use crate::{command, version};
use semver::{Version, VersionReq};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The directory of apt's package lists.
const LISTS: &str = "/var/lib/apt/lists";

/// Why an installed package doesn't supply its tool.
#[derive(Debug, thiserror::Error)]
enum PackageError {
    /// The table has no package for it.
    #[error("no package is known for it")]
    Unknown,
    /// The packages don't have its program.
    #[error("{packages} is installed, but has no {program}")]
    NoProgram {
        /// The packages.
        packages: String,
        /// The program.
        program: String,
    },
    /// The program prints no version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The packaged version doesn't fit.
    #[error("this distribution's {packages} has version {version}, which doesn't fit {requires}")]
    Unfit {
        /// The packages.
        packages: String,
        /// The packaged version.
        version: Version,
        /// The versions that fit.
        requires: VersionReq,
    },
}

/// Why packages aren't installed.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// There is no apt-get.
    #[error("there is no apt-get here")]
    NotFound,
    /// apt-get failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Tools from packages of the machine's distribution.
pub struct HostPackage;

impl Provider for HostPackage {
    fn name(&self) -> &'static str {
        "host package"
    }

    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer {
        let Some(spec) = wanted.spec.filter(|spec| !spec.apt.is_empty()) else { return Offer::NotApplicable };
        // The version is checked before the installation.
        let candidate = spec.apt.first().and_then(|package| candidate(package, session));
        match (&spec.requires, candidate) {
            (Some(requires), Some(version)) if !requires.matches(&version) => {
                Offer::unavailable(unfit(spec, version, requires).to_string())
            }
            _ => Offer::Available { packages: spec.apt.clone() },
        }
    }

    fn supply(&self, wanted: &[Wanted<'_>], session: &Session<'_>, on_result: &mut OnResult<'_>) {
        for (index, wanted) in wanted.iter().enumerate() {
            match find_installed(*wanted, session) {
                Ok(found) => on_result(index, Ok(&found)),
                Err(error) => on_result(index, Err(&error)),
            }
        }
    }
}

/// The tool of a package that was installed.
fn find_installed(wanted: Wanted<'_>, session: &Session<'_>) -> Result<Found, PackageError> {
    let spec = wanted.spec.ok_or(PackageError::Unknown)?;
    let path = session
        .find(wanted.name)
        .ok_or_else(|| PackageError::NoProgram { packages: spec.apt.join(" "), program: wanted.name.to_owned() })?;
    let (version, _) = session.version(&path, spec)?;
    match &spec.requires {
        Some(requires) if !requires.matches(&version) => Err(unfit(spec, version, requires)),
        _ => Ok(Found { path, version: Some(version) }),
    }
}

fn unfit(spec: &ToolSpec, version: Version, requires: &VersionReq) -> PackageError {
    PackageError::Unfit { packages: spec.apt.join(" "), version, requires: requires.clone() }
}

/// The version of a package that apt would install. `None` if apt doesn't know the package.
fn candidate(package: &str, session: &Session<'_>) -> Option<Version> {
    let mut policy = command::program(session.find("apt-cache")?);
    policy.args(["policy", package]).env("LC_ALL", "C.UTF-8");
    let output = command::query(policy).ok()?;
    upstream(output.text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?)
}

/// The upstream part of a Debian version, `[EPOCH:]UPSTREAM[-REVISION]`.
fn upstream(version: &str) -> Option<Version> {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version::parse(&version[..end])
}

/// Debian's package manager, and whether it may be used.
pub struct Apt {
    apt_get: Option<PathBuf>,
    root: bool,
    allowed: bool,
}

impl Apt {
    /// Searches apt-get in a search path. `allowed` is the setting `install`.
    pub fn find(search: &OsStr, allowed: bool) -> Self {
        let apt_get = which::which_in("apt-get", Some(search), "/").ok();
        Self { apt_get, root: nix::unistd::geteuid().is_root(), allowed }
    }

    /// Why packages can't be installed. `None` if they can.
    pub fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self { apt_get: None, .. } => Some("there is no apt-get here, install this system's equivalent"),
            Self { allowed: false, .. } => Some("installing packages is disabled"),
            Self { root: false, .. } => Some("installing packages needs root"),
            _ => None,
        }
    }

    /// The command line that installs packages. `None` if there is no apt-get.
    pub fn command_line(&self, packages: &[String]) -> Option<String> {
        self.apt_get.as_ref()?;
        let sudo = if self.root { "" } else { "sudo " };
        (!packages.is_empty())
            .then(|| format!("{sudo}apt-get install -y --no-install-recommends {}", packages.join(" ")))
    }

    /// Installs packages in one call. Updates the package lists first if they are missing, or too
    /// old to have the packages.
    ///
    /// # Errors
    /// apt-get failed.
    pub fn install(&self, packages: &[String]) -> Result<(), AptError> {
        let install: Vec<&str> = ["install", "-y", "--no-install-recommends"]
            .into_iter()
            .chain(packages.iter().map(String::as_str))
            .collect();
        if has_lists(Path::new(LISTS)) {
            match self.run(&install) {
                Err(AptError::Run(RunError::Failed { output, .. })) if has_stale_lists(&output) => {}
                result => return result,
            }
        }
        self.run(&["update"])?;
        self.run(&install)
    }

    fn run(&self, arguments: &[&str]) -> Result<(), AptError> {
        let apt_get = self.apt_get.as_ref().ok_or(AptError::NotFound)?;
        let mut command = command::program(apt_get);
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        // Another apt may be running: a fresh machine often updates itself first.
        command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        Ok(command::stream(command, |line| {
            log::debug!("apt-get: {line}");
            false
        })?)
    }
}

/// Whether apt has package lists.
fn has_lists(dir: &Path) -> bool {
    let is_list = |name: &str| name.contains("_Packages");
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|e| e.file_name().to_str().is_some_and(is_list)))
}

/// Whether apt-get failed because its package lists are old.
fn has_stale_lists(output: &[String]) -> bool {
    const SIGNS: [&str; 4] =
        ["Unable to locate package", "no installation candidate", "Failed to fetch", "404  Not Found"];
    output.iter().any(|line| SIGNS.iter().any(|sign| line.contains(sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_obstacle_names_what_prevents_an_installation() {
        let apt = |apt_get: Option<&str>, root, allowed| Apt { apt_get: apt_get.map(PathBuf::from), root, allowed };
        let apt_get = Some("/usr/bin/apt-get");
        assert_eq!(apt(apt_get, true, true).obstacle(), None);
        assert!(apt(None, true, true).obstacle().unwrap().contains("no apt-get"));
        assert!(apt(apt_get, true, false).obstacle().unwrap().contains("disabled"));
        assert!(apt(apt_get, false, true).obstacle().unwrap().contains("needs root"));
        let command = apt(apt_get, false, true).command_line(&["conmon".into(), "skopeo".into()]).unwrap();
        assert_eq!(command, "sudo apt-get install -y --no-install-recommends conmon skopeo");
        assert_eq!(apt(None, true, true).command_line(&["conmon".into()]), None);
    }

    #[test]
    fn the_upstream_version_is_extracted_from_a_debian_version() {
        for (debian, expected) in [("1.8.1-1+deb12u1", "1.8.1"), ("1.14.3-2", "1.14.3"), ("1:2.1+ds1~x-1", "2.1.0")] {
            assert_eq!(upstream(debian).unwrap().to_string(), expected);
        }
        assert_eq!(upstream("(none)"), None);
    }

    #[test]
    fn missing_and_stale_lists_are_recognised() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_lists(dir.path()) && !has_lists(&dir.path().join("none")));
        fs::write(dir.path().join("mirror.example_debian_dists_bookworm_main_binary-amd64_Packages.lz4"), "").unwrap();
        assert!(has_lists(dir.path()));
        assert!(has_stale_lists(&["Reading...".to_owned(), "E: Unable to locate package conmon".to_owned()]));
        assert!(!has_stale_lists(&["E: Sub-process /usr/bin/dpkg returned an error code (1)".to_owned()]));
    }
}
