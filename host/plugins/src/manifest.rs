//! The manifest of a plugin: `X.toml` beside `libX.so`, read before anything of the plugin is
//! loaded.
//!
//! This module only parses. It must not compare a manifest with this host or with its library, load
//! anything, or know where manifests are searched.

use kubernix_core::Binary;
use kubernix_toolchain::text::Located;
use kubernix_toolchain::{GoModule, Need, Section, Table, ToolSpec};
use semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, de};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a manifest is read.
const MAX_SIZE: u64 = 1 << 20;

/// The manifest of a plugin.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// The component's name, a DNS label.
    pub name: String,
    /// The plugin's own version.
    pub version: Version,
    /// A description of one line.
    pub description: String,
    /// Its authors.
    pub authors: Vec<String>,
    /// Its licence, as an SPDX expression.
    pub license: String,
    /// Its website.
    pub homepage: String,
    /// The roles that it can fill.
    pub provides: Vec<String>,
    /// The roles that it needs.
    pub requires: Vec<String>,
    /// The versions of the contract, kubernix-core, that it was built for.
    pub contract: VersionReq,
    /// The oldest KuberNix that it works with.
    pub host: Option<Version>,
    /// The binaries that it runs, its own program first.
    pub binaries: Vec<Binary>,
    /// The tools among them that aren't in our own table.
    pub tools: Table,
    /// The directories of go.mod and go.sum that it names, below its own directory.
    pub pins: Vec<String>,
}

/// Why a manifest can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("can't read the manifest `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// It isn't TOML, or a key or value isn't valid.
    #[error(transparent)]
    File(#[from] Located),
}

/// The keys of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(deserialize_with = "label")]
    name: String,
    version: Version,
    #[serde(default)]
    description: String,
    #[serde(default)]
    authors: Vec<String>,
    #[serde(default)]
    license: String,
    #[serde(default)]
    homepage: String,
    #[serde(default)]
    provides: Vec<Label>,
    #[serde(default)]
    requires: Vec<Label>,
    contract: VersionReq,
    #[serde(default, deserialize_with = "oldest")]
    host: Option<Version>,
    #[serde(default)]
    binaries: Vec<Binary>,
    #[serde(default)]
    go: Section<GoModule>,
    #[serde(default)]
    tool: Section<ToolSpec>,
    #[serde(default)]
    need: Section<Need>,
}

#[derive(Deserialize)]
struct Label(#[serde(deserialize_with = "label")] String);

impl Manifest {
    /// Reads a manifest, and the pins that it names.
    ///
    /// # Errors
    /// It can't be read, or isn't valid.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let unreadable = |cause| ManifestError::Read { path: path.to_owned(), cause };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        if file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(unreadable)? as u64 > MAX_SIZE {
            return Err(unreadable(io::Error::other(format!("it is larger than {} MiB", MAX_SIZE >> 20))));
        }
        Self::parse(path, &text)
    }

    /// Parses a manifest's text. `path` is for pins and messages.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ManifestError> {
        let document: Document = toml::from_str(text).map_err(|error| Located::toml(path, text, &error))?;
        let Document { name, version, description, authors, license, homepage, contract, host, .. } = document;
        let pins = document.go.values().filter_map(|module| module.pins_dir.clone()).collect();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let tools = Table::from_sections(document.go, document.tool, document.need, directory)
            .map_err(|error| Located::new(path, text, error.at.start, &error))?;
        let text_of = |labels: Vec<Label>| labels.into_iter().map(|label| label.0).collect();
        Ok(Self {
            path: path.to_owned(),
            name,
            version,
            description,
            authors,
            license,
            homepage,
            provides: text_of(document.provides),
            requires: text_of(document.requires),
            contract,
            host,
            binaries: document.binaries,
            tools,
            pins,
        })
    }
}

/// Whether this is a DNS label, as names of components and roles must be.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_label(&text) {
        return Ok(text);
    }
    Err(de::Error::custom(format!(
        "`{text}` isn't a DNS label: use at most 63 of a-z, 0-9 and -, with a - only inside"
    )))
}

/// A version whose minor and patch number may be left out: `1.2` is 1.2.0.
fn oldest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Version>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let padded = match text.matches('.').count() {
        0 => format!("{text}.0.0"),
        1 => format!("{text}.0"),
        _ => text.clone(),
    };
    let version = Version::parse(&padded);
    version
        .map(Some)
        .map_err(|_| de::Error::custom(format!("`{text}` isn't a version: give the oldest one, as in \"1.2\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MINIMAL: &str = "name = \"crun-cri\"\nversion = \"0.3.1\"\ncontract = \"1.0\"\n";

    fn rejection(text: &str) -> String {
        Manifest::parse(Path::new("/p/x.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn all_keys_of_a_manifest_are_parsed() {
        let dir = tempfile::tempdir().unwrap();
        let pins = dir.path().join("toolchain/kwok");
        fs::create_dir_all(&pins).unwrap();
        fs::write(pins.join("go.mod"), "module x\n").unwrap();
        fs::write(pins.join("go.sum"), "").unwrap();
        let path = dir.path().join("crun-cri.toml");
        let text = "host = \"1.2\"\ndescription = \"a runtime\"\nauthors = [\"A <a@b.c>\"]\nlicense = \"MIT\"\n\
                    homepage = \"https://example.org\"\nprovides = [\"cri\"]\nrequires = [\"sandbox\"]\n\
                    binaries = [\"kwok\", \"conmon\"]\n[go.kwok]\nversion = \"0.8.0\"\ncgo = false\n\
                    pins = \"toolchain/kwok\"\n[tool.kwok]\ngo = \"kwok\"\npackage = \"sigs.k8s.io/kwok/cmd/kwok\"\n";
        fs::write(&path, format!("{MINIMAL}{text}")).unwrap();
        let manifest = Manifest::read(&path).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version), ("crun-cri", Version::new(0, 3, 1)));
        assert_eq!(manifest.host, Some(Version::new(1, 2, 0)));
        assert_eq!((manifest.provides, manifest.requires), (vec!["cri".to_owned()], vec!["sandbox".to_owned()]));
        assert_eq!(manifest.binaries, ["kwok", "conmon"].map(Binary::from));
        assert_eq!(manifest.pins, ["toolchain/kwok"]);
        assert!(manifest.tools.cache_name("kwok").unwrap().starts_with("kwok-0.8.0-"));
        assert!(matches!(Manifest::read(&dir.path().join("none.toml")), Err(ManifestError::Read { .. })));
    }

    #[test]
    fn invalid_manifests_are_rejected_with_line_and_column() {
        let with = |more: &str| format!("{MINIMAL}{more}");
        for (text, expected) in [
            (String::new(), "/p/x.toml:1:1: missing field `name`"),
            (MINIMAL.replace("crun-cri", "Crun_CRI"), "/p/x.toml:1:8: `Crun_CRI` isn't a DNS label"),
            (MINIMAL.replace("0.3.1", "0.3"), "/p/x.toml:2:11: unexpected end of input"),
            (MINIMAL.replace("\"1.0\"", "\"one\""), "/p/x.toml:3:12: unexpected character 'o'"),
            (with("homepgae = \"x\"\n"), "/p/x.toml:4:1: unknown field `homepgae`"),
            (with("host = \"new\"\n"), "/p/x.toml:4:8: `new` isn't a version"),
            (with("provides = [\"cri\", \"a b\"]\n"), "/p/x.toml:4:20: `a b` isn't a DNS label"),
            (with("provides = \"cri\"\n"), "/p/x.toml:4:12: invalid type: string \"cri\", expected a sequence"),
            (with("[tool.x]\npakage = \"y\"\n"), "/p/x.toml:5:1: unknown field `pakage`"),
            (with("\n[tool.x]\n"), "/p/x.toml:5:7: [tool.x]: no provider can supply it"),
            (
                with("[go.x]\nversion = \"1.0.0\"\ncgo = false\npins = \"../x\"\n"),
                "/p/x.toml:4:5: [go.x]: `../x` isn't a directory below",
            ),
            (with("x = \n"), "/p/x.toml:4:5: "),
        ] {
            let error = rejection(&text);
            assert!(error.starts_with(expected), "{text}\n{error}\n{expected}");
        }
    }
}
