//! Provider `host package`: what the machine's own package manager has. Debian's so far.
//!
//! It says what it installs, installs all of it in one call, and only as root and where that is
//! allowed.

use super::provider::{Done, Found, Offer, Provider, Session, Wanted};
use super::table::ToolSpec;
use super::{command, version};
use semver::{Version, VersionReq};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where apt keeps the lists of packages that it knows.
const LISTS: &str = "/var/lib/apt/lists";

/// How long apt may look into its own lists.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tools from packages of the machine's distribution.
pub struct HostPackage;

impl Provider for HostPackage {
    fn name(&self) -> &'static str {
        "host package"
    }

    fn offer(&self, wanted: Wanted<'_>, session: &Session<'_>) -> Offer {
        let Some(spec) = wanted.spec.filter(|spec| !spec.apt.is_empty()) else { return Offer::Silent };
        // What would not do isn't installed to find that out.
        let candidate = spec.apt.first().and_then(|package| candidate(package, session));
        match (&spec.requires, candidate) {
            (Some(requires), Some(version)) if !requires.matches(&version) => {
                Offer::no(unfit(spec, &version, requires))
            }
            _ => Offer::Can { packages: spec.apt.clone() },
        }
    }

    fn supply(&self, wanted: &[Wanted<'_>], session: &Session<'_>, done: &mut Done<'_>) {
        wanted.iter().enumerate().for_each(|(place, wanted)| done(place, installed(*wanted, session)));
    }
}

/// Looks at what a package has brought.
fn installed(wanted: Wanted<'_>, session: &Session<'_>) -> Result<Found, String> {
    let spec = wanted.spec.ok_or("no package is known for it")?;
    let packages = spec.apt.join(" ");
    let path =
        session.find(wanted.name).ok_or_else(|| format!("{packages} is installed, but brought no {}", wanted.name))?;
    let (version, _) = session.version(&path, spec)?;
    match &spec.requires {
        Some(requires) if !requires.matches(&version) => Err(unfit(spec, &version, requires)),
        _ => Ok(Found { path, version: Some(version) }),
    }
}

fn unfit(spec: &ToolSpec, version: &Version, requires: &VersionReq) -> String {
    format!("this distribution's {} has version {version}, which doesn't fit {requires}", spec.apt.join(" "))
}

/// The version of what is packaged that would be installed; `None` where apt doesn't know.
fn candidate(package: &str, session: &Session<'_>) -> Option<Version> {
    let mut ask = command::program(session.find("apt-cache")?);
    ask.args(["policy", package]).env("LC_ALL", "C.UTF-8");
    let answer = command::answer(ask, PATIENCE).ok()?;
    upstream(answer.text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?)
}

/// The part of a Debian version, `[EPOCH:]UPSTREAM[-REVISION]`, that is its author's.
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
    /// Looks for it in a search path. `allowed` is what the user says.
    pub fn look(search: &OsStr, allowed: bool) -> Self {
        let apt_get = which::which_in("apt-get", Some(search), "/").ok();
        Self { apt_get, root: nix::unistd::geteuid().is_root(), allowed }
    }

    /// Why packages can't be installed, if so.
    pub fn refusal(&self) -> Option<&'static str> {
        match self {
            Self { apt_get: None, .. } => Some("there is no apt-get here, install what this system has instead"),
            Self { allowed: false, .. } => Some("installing is switched off"),
            Self { root: false, .. } => Some("installing takes root"),
            _ => None,
        }
    }

    /// What a user would type to install packages; none where there is no apt-get.
    pub fn command_line(&self, packages: &[String]) -> Option<String> {
        self.apt_get.as_ref()?;
        let sudo = if self.root { "" } else { "sudo " };
        (!packages.is_empty())
            .then(|| format!("{sudo}apt-get install -y --no-install-recommends {}", packages.join(" ")))
    }

    /// Installs packages in one call; brings the lists up to date first where they are missing or
    /// too old to find them.
    ///
    /// # Errors
    /// The last lines that apt-get printed.
    pub fn install(&self, packages: &[String]) -> Result<(), String> {
        let install: Vec<&str> = ["install", "-y", "--no-install-recommends"]
            .into_iter()
            .chain(packages.iter().map(String::as_str))
            .collect();
        if !has_lists(Path::new(LISTS)) {
            self.run(&["update"])?;
            return self.run(&install);
        }
        self.run(&install).or_else(|error| match is_stale(&error) {
            true => self.run(&["update"]).and_then(|()| self.run(&install)),
            false => Err(error),
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let apt_get = self.apt_get.as_ref().ok_or("there is no apt-get here")?;
        let mut command = command::program(apt_get);
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        // Another apt may be at work: a fresh machine often updates itself first.
        command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        command::stream(command, |line| {
            log::debug!("apt-get: {line}");
            false
        })
    }
}

/// Whether apt knows any packages.
fn has_lists(dir: &Path) -> bool {
    let is_list = |name: &str| name.contains("_Packages");
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|e| e.file_name().to_str().is_some_and(is_list)))
}

/// Whether apt failed for what newer lists would cure.
fn is_stale(error: &str) -> bool {
    ["Unable to locate package", "no installation candidate", "Failed to fetch", "404  Not Found"]
        .iter()
        .any(|sign| error.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_stands_in_the_way() {
        let apt = |apt_get: Option<&str>, root, allowed| Apt { apt_get: apt_get.map(PathBuf::from), root, allowed };
        let there = Some("/usr/bin/apt-get");
        assert_eq!(apt(there, true, true).refusal(), None);
        assert!(apt(None, true, true).refusal().unwrap().contains("no apt-get"));
        assert!(apt(there, true, false).refusal().unwrap().contains("switched off"));
        assert!(apt(there, false, true).refusal().unwrap().contains("takes root"));
        let typed = apt(there, false, true).command_line(&["conmon".into(), "skopeo".into()]).unwrap();
        assert_eq!(typed, "sudo apt-get install -y --no-install-recommends conmon skopeo");
        assert_eq!(apt(None, true, true).command_line(&["conmon".into()]), None);
    }

    #[test]
    fn the_authors_version_is_told_from_the_distributions() {
        for (debian, ours) in [("1.8.1-1+deb12u1", "1.8.1"), ("1.14.3-2", "1.14.3"), ("1:2.1+ds1~x-1", "2.1.0")] {
            assert_eq!(upstream(debian).unwrap().to_string(), ours);
        }
        assert_eq!(upstream("(none)"), None);
    }

    #[test]
    fn lists_are_seen_and_their_age_is_told_from_other_failures() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_lists(dir.path()) && !has_lists(&dir.path().join("none")));
        fs::write(dir.path().join("mirror.example_debian_dists_bookworm_main_binary-amd64_Packages.lz4"), "").unwrap();
        assert!(has_lists(dir.path()));
        assert!(is_stale("apt-get failed (exit status: 100):\nE: Unable to locate package conmon"));
        assert!(!is_stale(
            "apt-get failed (exit status: 100):\nE: Sub-process /usr/bin/dpkg returned an error code (1)"
        ));
    }
}
