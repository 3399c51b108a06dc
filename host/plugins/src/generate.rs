//! Generates the manifest of a shared library from the library itself. The parts that the library
//! doesn't have, the tools and the oldest host, are preserved from the existing manifest.
//!
//! This module must not know where plugins are searched.

use super::LibraryInfo;
use super::gather::library_info;
use super::loader::{self, LoadError, Loaded};
use super::manifest::{Manifest, ManifestError};
use super::permissions::{Trust, Untrusted};
use super::registry::{Registered, Source};
use super::scan::{self, Kind, ScanError};
use kubernix_core::Binary;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A generated manifest.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Generated {
    /// Its path, beside the library.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Why a manifest isn't generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// It isn't a shared library.
    #[error("`{}` isn't a shared library: a TOML component needs no manifest", .0.display())]
    Toml(PathBuf),
    /// It isn't a plugin.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Other users can change it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It can't describe its component.
    #[error("{}", .0.frames().join(": "))]
    Describe(kubernix_core::Error),
    /// The manifest beside it can't be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest can't be written.
    #[error("can't write the manifest `{}`: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
}

/// Loads a library, and generates its manifest.
///
/// # Errors
/// See [`GenerateError`].
pub fn generate(library: &Path) -> Result<Generated, GenerateError> {
    let candidate = scan::file(library)?;
    if candidate.kind != Kind::SharedLibrary {
        return Err(GenerateError::Toml(library.to_owned()));
    }
    let library = Trust::of_process().file(&candidate.path)?;
    let Loaded { handle, version, about, contract } = loader::load(&library)?;
    let source = Source::SharedLibrary { path: library.clone() };
    let registered = Registered::new(handle, version.clone(), source).map_err(GenerateError::Describe)?;
    let path = scan::manifest_of(&library);
    let preserved = if path.exists() { Preserved::read(&path)? } else { Preserved::default() };
    let head = Head {
        version,
        description: about.description.to_string(),
        authors: about.authors.split(':').filter(|author| !author.is_empty()).map(str::to_owned).collect(),
        license: about.license.to_string(),
        homepage: about.homepage.to_string(),
        info: library_info(&registered.description, contract),
    };
    Ok(Generated { text: text(&library, &head, &preserved), path })
}

impl Generated {
    /// Writes it beside the library, by rename.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn write(&self) -> Result<(), GenerateError> {
        let failed = |cause| GenerateError::Write { path: self.path.clone(), cause };
        let new = self.path.with_extension("toml.new");
        fs::write(&new, &self.text).and_then(|()| fs::rename(&new, &self.path)).map_err(failed)
    }
}

/// The contents of a library.
struct Head {
    version: String,
    description: String,
    authors: Vec<String>,
    license: String,
    homepage: String,
    info: LibraryInfo,
}

/// The parts of an existing manifest that the library doesn't have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Preserved {
    /// The oldest host.
    host: Option<String>,
    /// The tables `[go]`, `[tool]` and `[need]`, with the comment above the first one.
    tables: String,
}

impl Preserved {
    fn read(path: &Path) -> Result<Self, GenerateError> {
        let host = Manifest::read(path)?.host.map(|version| version.to_string());
        let text = fs::read_to_string(path).map_err(|cause| ManifestError::Read { path: path.to_owned(), cause })?;
        Ok(Self { host, tables: tables(&text).to_owned() })
    }
}

/// The end of a manifest, from the comment above its first table on. No key above the tables has a
/// list of lists, so a line that begins with `[` begins a table.
fn tables(text: &str) -> &str {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match line.chars().next() {
            Some('[') => return &text[start.unwrap_or(at)..],
            Some('#') => start = start.or(Some(at)),
            _ => start = None,
        }
        at += line.len();
    }
    ""
}

fn text(library: &Path, head: &Head, preserved: &Preserved) -> String {
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!("# The manifest of {name}, generated from the library by `kubernix plugin manifest`.\n");
    let info = &head.info;
    let mut line = |key: &str, value: toml::Value| writeln!(text, "{key} = {value}").unwrap_or_default();
    line("name", info.name.as_str().into());
    line("version", head.version.as_str().into());
    line("description", head.description.as_str().into());
    line("authors", head.authors.clone().into());
    line("license", head.license.as_str().into());
    line("homepage", head.homepage.as_str().into());
    line("provides", info.provides.clone().into());
    line("requires", info.requires.clone().into());
    line("contract", minor(&info.contract).into());
    line("host", preserved.host.as_deref().unwrap_or(minor(env!("CARGO_PKG_VERSION"))).into());
    line("binaries", info.binaries.iter().map(form).collect::<Vec<_>>().into());
    if !preserved.tables.is_empty() {
        text.push('\n');
        text.push_str(&preserved.tables);
    }
    text
}

/// A binary as manifests write it.
fn form(binary: &Binary) -> toml::Value {
    match binary {
        Binary::Tool(name) => name.as_str().into(),
        Binary::FromParameter(parameter) => {
            toml::Table::from_iter([("parameter".into(), parameter.as_str().into())]).into()
        }
    }
}

/// `1.2` of `1.2.3`.
fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            version: "0.3.1".into(),
            description: "A \"runtime\"".into(),
            authors: vec!["A <a@b.c>".into()],
            license: "MIT".into(),
            homepage: String::new(),
            info: LibraryInfo {
                name: "my-cri".into(),
                provides: vec!["cri".into()],
                requires: vec!["sandbox".into()],
                binaries: vec!["myd".into(), Binary::from_parameter("runtime")],
                contract: "1.0.0".into(),
            },
        }
    }

    #[test]
    fn a_generated_manifest_agrees_with_its_library() {
        let text = text(Path::new("/p/libmy_cri.so"), &head(), &Preserved::default());
        let manifest = Manifest::parse(Path::new("/p/my-cri.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(manifest.compare(&head().info), []);
        assert_eq!(manifest.description, "A \"runtime\"");
        assert_eq!(manifest.authors, ["A <a@b.c>"]);
        manifest.fits_this_host().unwrap();
    }

    #[test]
    fn the_host_and_the_tables_of_an_existing_manifest_are_preserved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my-cri.toml");
        let tables = "# how it is built\n[tool.myd]\napt = [\"myd\"]\n\n[need.x]\ncommand = \"x\"\napt = [\"x\"]\n";
        let head_of_old = "# a comment\nname = \"old\"\nversion = \"0.1.0\"\ncontract = \"1\"\nhost = \"1.0\"\nbinaries = \
                           [\n    \"a\",\n]\n\n";
        fs::write(&path, format!("{head_of_old}{tables}")).unwrap();
        let preserved = Preserved::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(preserved, Preserved { host: Some("1.0.0".into()), tables: tables.to_owned() });
        let text = text(Path::new("/p/libmy_cri.so"), &head(), &preserved);
        assert!(text.ends_with(&format!("\"runtime\" }}]\n\n{tables}")), "{text}");
        assert!(text.contains("\nhost = \"1.0.0\"\n"), "{text}");
        assert_eq!(super::tables(head_of_old), "");
    }

    #[test]
    fn a_file_that_is_not_a_library_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let toml = dir.path().join("x.toml");
        fs::write(&toml, "").unwrap();
        assert!(matches!(generate(&toml), Err(GenerateError::Toml(_))));
        assert!(matches!(generate(&dir.path().join("notes.txt")), Err(GenerateError::Scan(ScanError::Other(_)))));
    }
}
