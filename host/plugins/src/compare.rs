//! Compares a manifest with this host, and with its library once that is loaded.
//!
//! Pure: data in, findings out.

use super::Manifest;
use kubernix_core::Binary;
use semver::{Version, VersionReq};
use std::fmt;
use std::path::PathBuf;

/// Why a plugin doesn't work with this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// It was built for another contract.
    #[error(
        "{}: {name} was built for plugin interface {contract}, this host has {has}: {advice}", path.display()
    )]
    Contract {
        /// The manifest.
        path: PathBuf,
        /// The plugin.
        name: String,
        /// The versions of the contract that it was built for.
        contract: String,
        /// This host's version.
        has: String,
        /// The way out.
        advice: &'static str,
    },
    /// It needs a newer host.
    #[error("{}: {name} needs KuberNix {least} or newer, this is {has}: upgrade KuberNix, or take an older {name}", path.display())]
    Host {
        /// The manifest.
        path: PathBuf,
        /// The plugin.
        name: String,
        /// The oldest version that it works with.
        least: String,
        /// This host's version.
        has: String,
    },
}

/// The way out of a contract mismatch: which side to upgrade.
fn advice(contract: &VersionReq, has: &Version) -> &'static str {
    let newer = |c: &semver::Comparator| (c.major, c.minor.unwrap_or(0)) > (has.major, has.minor);
    match contract.comparators.first() {
        Some(first) if newer(first) => "upgrade KuberNix, or take an older version of the plugin",
        _ => "take a version of the plugin that was built for it",
    }
}

/// The parts of a loaded library's description that its manifest repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LibraryInfo {
    /// Its name.
    pub name: String,
    /// The roles that it can fill.
    pub provides: Vec<String>,
    /// The roles that it needs.
    pub requires: Vec<String>,
    /// The binaries that it runs.
    pub binaries: Vec<Binary>,
    /// The version of the contract that it was built with.
    pub contract: String,
}

/// A difference between a manifest and its library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The manifest.
    pub path: PathBuf,
    /// The key in the manifest.
    pub key: &'static str,
    /// The manifest's value.
    pub manifest: String,
    /// The library's value.
    pub library: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, key, manifest, library } = self;
        write!(f, "{}: `{key}` is {manifest} in the manifest, but {library} in the library", path.display())
    }
}

impl Manifest {
    /// Whether a host can use the plugin. A pre-release counts as the release that it becomes.
    ///
    /// # Errors
    /// It needs a newer host, or was built for a contract that the host doesn't have.
    pub fn compatible(&self, host: &Version, contract: &Version) -> Result<(), Incompatible> {
        let released = |v: &Version| Version::new(v.major, v.minor, v.patch);
        let (path, name) = (self.path.clone(), self.name.clone());
        match &self.host {
            Some(least) if released(host) < released(least) => {
                Err(Incompatible::Host { path, name, least: least.to_string(), has: host.to_string() })
            }
            _ if !self.contract.matches(&released(contract)) => {
                let advice = advice(&self.contract, contract);
                let (built_for, has) = (self.contract.to_string(), contract.to_string());
                Err(Incompatible::Contract { path, name, contract: built_for, has, advice })
            }
            _ => Ok(()),
        }
    }

    /// Whether this host can use the plugin.
    ///
    /// # Errors
    /// As [`Manifest::compatible`].
    ///
    /// # Panics
    /// Never: a test reads the versions of this build.
    pub fn fits_this_host(&self) -> Result<(), Incompatible> {
        let version = |text: &str| Version::parse(text).expect("a test reads the versions of this build");
        self.compatible(&version(env!("CARGO_PKG_VERSION")), &version(kubernix_core::VERSION))
    }

    /// The differences from its library. The order of roles doesn't matter. That of binaries does:
    /// the first one is the component's own.
    pub fn compare(&self, library: &LibraryInfo) -> Vec<Mismatch> {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.dedup();
            names
        };
        let mismatch = |key, manifest, library| Mismatch { path: self.path.clone(), key, manifest, library };
        let list = |key, ours: &[String], theirs: &[String]| {
            (ours != theirs).then(|| mismatch(key, listed(ours), listed(theirs)))
        };
        let name = (self.name != library.name).then(|| mismatch("name", quoted(&self.name), quoted(&library.name)));
        let provides = list("provides", &sorted(&self.provides), &sorted(&library.provides));
        let requires = list("requires", &sorted(&self.requires), &sorted(&library.requires));
        let names = |binaries: &[Binary]| binaries.iter().map(ToString::to_string).collect::<Vec<_>>();
        let binaries = list("binaries", &names(&self.binaries), &names(&library.binaries));
        let built = Version::parse(&library.contract);
        let fits = built.is_ok_and(|v| self.contract.matches(&Version::new(v.major, v.minor, v.patch)));
        let contract = (!fits).then(|| mismatch("contract", quoted(&self.contract), quoted(&library.contract)));
        [name, provides, requires, binaries, contract].into_iter().flatten().collect()
    }
}

fn quoted(text: &impl fmt::Display) -> String {
    format!("`{text}`")
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(quoted).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn manifest(more: &str) -> Manifest {
        let text = format!("name = \"x\"\nversion = \"1.0.0\"\n{more}");
        Manifest::parse(Path::new("/p/x.toml"), &text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_plugin_works_with_the_hosts_and_contracts_of_its_manifest() {
        let version = |text: &str| Version::parse(text).unwrap();
        let fits = |more: &str, host: &str, contract: &str| {
            manifest(more).compatible(&version(host), &version(contract)).map_err(|error| error.to_string())
        };
        for contract in ["1.0.0", "1.7.2", "1.1.0-dev"] {
            assert_eq!(fits("contract = \"1.0\"\n", "1.0.0", contract), Ok(()), "{contract}");
        }
        assert_eq!(fits("contract = \">=1.0, <3\"\nhost = \"1.2\"\n", "1.2.0-rc.1", "2.5.0"), Ok(()));
        let newer = "upgrade KuberNix, or take an older version of the plugin";
        let older = "take a version of the plugin that was built for it";
        for (contract, has, advice) in [("1.1", "1.0.3", newer), ("2", "1.0.0", newer), ("1", "2.0.0", older)] {
            let shown = VersionReq::parse(contract).unwrap();
            let expected =
                format!("/p/x.toml: x was built for plugin interface {shown}, this host has {has}: {advice}");
            assert_eq!(fits(&format!("contract = \"{contract}\"\n"), "1.0.0", has), Err(expected));
        }
        let error = fits("contract = \"1\"\nhost = \"1.2\"\n", "1.1.9", "1.0.0").unwrap_err();
        assert_eq!(
            error,
            "/p/x.toml: x needs KuberNix 1.2.0 or newer, this is 1.1.9: upgrade KuberNix, or take an older x"
        );
    }

    #[test]
    fn each_mismatch_names_both_values_and_the_file() {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let text = "contract = \"1.1\"\nprovides = [\"a\", \"b\"]\nrequires = [\"c\"]\nbinaries = [\"d\", \"e\"]\n";
        let manifest = manifest(text);
        let mut library = LibraryInfo {
            name: "x".into(),
            provides: strings(&["b", "a"]),
            requires: strings(&["c"]),
            binaries: vec!["d".into(), "e".into()],
            contract: "1.3.0".into(),
        };
        assert_eq!(manifest.compare(&library), []);
        library.binaries.reverse();
        assert_eq!(manifest.compare(&library).len(), 1, "the order of binaries matters");
        library = LibraryInfo {
            name: "y".into(),
            provides: strings(&["a"]),
            contract: "1.0.0".into(),
            ..LibraryInfo::default()
        };
        let texts: Vec<String> = manifest.compare(&library).iter().map(ToString::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(|text| text.strip_prefix("/p/x.toml: ").unwrap()).collect();
        assert_eq!(
            texts,
            [
                "`name` is `x` in the manifest, but `y` in the library",
                "`provides` is `a`, `b` in the manifest, but `a` in the library",
                "`requires` is `c` in the manifest, but none in the library",
                "`binaries` is `d`, `e` in the manifest, but none in the library",
                "`contract` is `^1.1` in the manifest, but `1.0.0` in the library",
            ]
        );
    }
}
