//! Finds the plugins in a directory: `libX.so` with its manifest `X.toml`, and TOML components.
//!
//! This module must not decide what is trusted or loaded, nor know why a directory is searched.

use super::manifest::{Manifest, ManifestError, is_label};
use kubernix_toolchain::text::Located;
use kubernix_toolchain::{GoModule, Need, Section, Table, ToolSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The kind of a plugin's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A shared library, with a manifest beside it.
    SharedLibrary,
    /// A component in one TOML file.
    Toml,
}

/// Why a file isn't a plugin.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A library without a manifest.
    #[error(
        "`{}` has no manifest: write `{}` beside it, with at least name = \"{}\", version = \"0.1.0\" and contract = \"{}\"",
        path.display(), manifest.display(), name, contract
    )]
    NoManifest {
        /// The library.
        path: PathBuf,
        /// Where its manifest should be.
        manifest: PathBuf,
        /// The name that its file suggests.
        name: String,
        /// This host's version of the contract.
        contract: &'static str,
    },
    /// Its manifest isn't valid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A TOML file isn't valid, or isn't a component.
    #[error(transparent)]
    Toml(#[from] Located),
    /// Neither a library nor TOML.
    #[error("`{}` isn't a plugin, which is a shared library, `libX.so`, or a TOML component, `X.toml`", .0.display())]
    Other(PathBuf),
}

/// A file that may be a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub path: PathBuf,
    /// Its kind.
    pub kind: Kind,
}

/// The sections of a TOML component that describe tools, as in a manifest.
#[derive(Deserialize)]
struct Sections {
    #[serde(default)]
    go: Section<GoModule>,
    #[serde(default)]
    tool: Section<ToolSpec>,
    #[serde(default)]
    need: Section<Need>,
}

/// The parts of a plugin that are known before it is loaded.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The component's name.
    pub name: String,
    /// Its version; `None` for a TOML component without one.
    pub version: Option<String>,
    /// The roles that it can fill.
    pub provides: Vec<String>,
    /// The manifest of a library.
    pub manifest: Option<Manifest>,
    /// The tools that it adds.
    pub tools: Table,
    /// All its files except the one that is loaded, relative to the directory of that.
    pub beside: Vec<PathBuf>,
}

/// The candidates in a directory, by file name.
///
/// # Errors
/// It can't be read.
pub fn directory(directory: &Path) -> Result<Vec<Candidate>, ScanError> {
    let unreadable = |cause| ScanError::Unreadable { path: directory.to_owned(), cause };
    let mut libraries = Vec::new();
    let mut texts = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if name.starts_with('.') => {}
            Some("so") if name.starts_with("lib") => libraries.push(path),
            Some("toml") => texts.push(path),
            _ => {}
        }
    }
    let manifests: BTreeSet<PathBuf> = libraries.iter().flat_map(|library| manifest_names(library)).collect();
    texts.retain(|text| !manifests.contains(text));
    let of_kind = |paths: Vec<PathBuf>, kind| paths.into_iter().map(move |path| Candidate { path, kind });
    let mut all: Vec<_> = of_kind(libraries, Kind::SharedLibrary).chain(of_kind(texts, Kind::Toml)).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// The candidate of a file that the user named. A manifest stands for its library.
///
/// # Errors
/// It is neither a library nor TOML.
pub fn file(path: &Path) -> Result<Candidate, ScanError> {
    let candidate = |path: &Path, kind| Ok(Candidate { path: path.to_owned(), kind });
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("so") => candidate(path, Kind::SharedLibrary),
        Some("toml") => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let names = [format!("lib{stem}.so"), format!("lib{}.so", stem.replace('-', "_"))];
            match names.map(|name| path.with_file_name(name)).into_iter().find(|library| library.exists()) {
                Some(library) => candidate(&library, Kind::SharedLibrary),
                None => candidate(path, Kind::Toml),
            }
        }
        _ => Err(ScanError::Other(path.to_owned())),
    }
}

impl Candidate {
    /// The files that must be trusted before it is read: itself, and its manifest if it has one.
    pub fn read_first(&self) -> Vec<PathBuf> {
        match self.kind {
            Kind::SharedLibrary => [self.path.clone()].into_iter().chain(self.manifest()).collect(),
            Kind::Toml => vec![self.path.clone()],
        }
    }

    fn manifest(&self) -> Option<PathBuf> {
        manifest_names(&self.path).into_iter().find(|manifest| manifest.exists())
    }

    /// Reads its manifest or its TOML.
    ///
    /// # Errors
    /// The file can't be read or isn't valid, or a library has no manifest.
    pub fn summary(&self) -> Result<Summary, ScanError> {
        match self.kind {
            Kind::SharedLibrary => self.library_summary(),
            Kind::Toml => self.toml_summary(),
        }
    }

    fn library_summary(&self) -> Result<Summary, ScanError> {
        let Some(path) = self.manifest() else {
            let [_, manifest] = manifest_names(&self.path);
            let name = manifest.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let contract = kubernix_core::VERSION;
            return Err(ScanError::NoManifest { path: self.path.clone(), manifest, name, contract });
        };
        let manifest = Manifest::read(&path)?;
        let own = path.file_name().map(PathBuf::from);
        let beside = own.into_iter().chain(manifest.pins.iter().flat_map(|below| pin_files(below))).collect();
        Ok(Summary {
            name: manifest.name.clone(),
            version: Some(manifest.version.to_string()),
            provides: manifest.provides.clone(),
            tools: manifest.tools.clone(),
            manifest: Some(manifest),
            beside,
        })
    }

    /// Parses only what is needed to choose among files. The loader validates the whole file.
    fn toml_summary(&self) -> Result<Summary, ScanError> {
        let path = self.path.clone();
        let text = fs::read_to_string(&path).map_err(|cause| ScanError::Unreadable { path: path.clone(), cause })?;
        let parsed = DeTable::parse(&text).map_err(|error| Located::toml(&path, &text, &error))?;
        let table = parsed.get_ref();
        let Some(component) = table.get("component").and_then(|value| value.get_ref().as_table()) else {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let reason =
                format!("neither a component, which has a [component], nor the manifest of a lib{stem}.so beside it");
            return Err(Located::new(&path, &text, 0, reason).into());
        };
        let value = |key: &str| component.get(key).or_else(|| table.get(key));
        let name = match value("name") {
            Some(name) => match name.get_ref().as_str().filter(|name| is_label(name)) {
                Some(name) => name.to_owned(),
                None => {
                    let reason = "`name` must be a DNS label in quotes";
                    return Err(Located::new(&path, &text, name.span().start, reason).into());
                }
            },
            None => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let roles = value("provides").and_then(|roles| roles.get_ref().as_array()).into_iter().flatten();
        let sections = toml::from_str::<Sections>(&text).map_err(|error| Located::toml(&path, &text, &error))?;
        let pins: Vec<String> = sections.go.values().filter_map(|module| module.pins_dir.clone()).collect();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let tools = Table::from_sections(sections.go, sections.tool, sections.need, directory)
            .map_err(|error| Located::new(&path, &text, error.at.start, &error))?;
        Ok(Summary {
            name,
            version: value("version").and_then(|version| match version.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            }),
            provides: roles.filter_map(|role| role.get_ref().as_str().map(str::to_owned)).collect(),
            manifest: None,
            tools,
            beside: pins.iter().flat_map(|below| pin_files(below)).collect(),
        })
    }
}

/// The possible manifests of a library: for `libmy_cri.so`, `my_cri.toml` and `my-cri.toml`.
fn manifest_names(library: &Path) -> [PathBuf; 2] {
    let stem = library.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_prefix("lib").unwrap_or(&stem);
    [stem.to_owned(), stem.replace('_', "-")].map(|name| library.with_file_name(format!("{name}.toml")))
}

/// The path of a library's manifest, which may not exist.
pub(super) fn manifest_of(library: &Path) -> PathBuf {
    let [as_named, dashed] = manifest_names(library);
    if as_named.exists() { as_named } else { dashed }
}

fn pin_files(below: &str) -> [PathBuf; 2] {
    ["go.mod", "go.sum"].map(|name| Path::new(below).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|c| c.path.file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn a_toml_file_that_is_not_a_librarys_manifest_is_a_component() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["libmy_cri.so", "my-cri.toml", "liba.so", "a.toml", "kwok.toml", "notes.txt", "x.so", ".b.toml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = directory(dir.path()).unwrap();
        assert_eq!(names(&found), ["kwok.toml", "liba.so", "libmy_cri.so"]);
        assert_eq!(
            found.iter().map(|c| c.kind).collect::<Vec<_>>(),
            [Kind::Toml, Kind::SharedLibrary, Kind::SharedLibrary]
        );
        for (named, expected) in [("my-cri.toml", "libmy_cri.so"), ("x.so", "x.so"), ("kwok.toml", "kwok.toml")] {
            assert_eq!(names(&[file(&dir.path().join(named)).unwrap()]), [expected]);
        }
        assert!(file(&dir.path().join("notes.txt")).unwrap_err().to_string().contains("isn't a plugin"));
    }

    #[test]
    fn the_error_about_a_missing_manifest_has_its_minimal_content() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libmy_cri.so");
        fs::write(&library, "").unwrap();
        let error = file(&library).unwrap().summary().unwrap_err().to_string();
        let (so, toml) = (library.display(), dir.path().join("my-cri.toml"));
        let expected = format!(
            "`{so}` has no manifest: write `{}` beside it, with at least name = \"my-cri\", version = \"0.1.0\" and contract = \"{}\"",
            toml.display(),
            kubernix_core::VERSION
        );
        assert_eq!(error, expected);
        fs::write(&toml, "name = \"other\"\nversion = \"1.0.0\"\ncontract = \"1\"\n").unwrap();
        let described = file(&library).unwrap().summary().unwrap();
        assert_eq!((described.name.as_str(), described.version.as_deref()), ("other", Some("1.0.0")));
        assert_eq!(described.beside, [Path::new("my-cri.toml")]);
    }

    #[test]
    fn the_summary_of_a_toml_component_is_parsed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kwok.toml");
        let summary = |text: &str| {
            fs::write(&path, text).unwrap();
            file(&path).unwrap().summary()
        };
        let pins = dir.path().join("toolchain/kwok");
        fs::create_dir_all(&pins).unwrap();
        ["go.mod", "go.sum"].iter().for_each(|name| fs::write(pins.join(name), "").unwrap());
        let text = "[component]\nname = \"fake\"\nversion = \"2.0.0\"\n[go.kwok]\nversion = \"0.8.0\"\ncgo = false\n\
                    pins = \"toolchain/kwok\"\n[tool.kwok]\ngo = \"kwok\"\npackage = \"sigs.k8s.io/kwok/cmd/kwok\"\n";
        let described = summary(text).unwrap();
        assert!(described.tools.find("kwok").is_some());
        assert_eq!((described.name.as_str(), described.version.as_deref()), ("fake", Some("2.0.0")));
        assert_eq!(described.beside, [Path::new("toolchain/kwok/go.mod"), Path::new("toolchain/kwok/go.sum")]);
        assert_eq!(summary("[component]\nx = 1\n").unwrap().name, "kwok");
        assert_eq!(summary("name = \"outer\"\n[component]\n").unwrap().name, "outer");
        assert_eq!(summary("[component]\nprovides = [\"dns\"]\n").unwrap().provides, ["dns"]);
        for (text, at) in [
            ("a = \n", ":1:5: "),
            ("[component]\nname = \"A b\"\n", ":2:8: "),
            ("name = \"x\"\n", ":1:1: neither"),
            ("[component]\n[tool.x]\n", ":2:7: [tool.x]: no provider can supply it"),
        ] {
            let error = summary(text).unwrap_err().to_string();
            assert!(error.contains(&format!("kwok.toml{at}")), "{error}");
        }
    }
}
