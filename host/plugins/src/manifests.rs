//! Manifests as components: a file or a directory of files becomes the TOML component that applies
//! them.
//!
//! It checks that each document is a Kubernetes object, and must not know any kind of object.

use kubernix_core::is_name;
use kubernix_toolchain::text::manifest::{ManifestError, objects};
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The extensions of manifests.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Why manifests can't be a component. Each message includes its cause: there is no source.
#[derive(Debug, thiserror::Error)]
pub enum ManifestsError {
    /// A file or directory can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file isn't a manifest.
    #[error("manifest `{}`: {cause}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The cause, with the line or the number of the document.
        cause: ManifestError,
    },
    /// There is no object.
    #[error("`{}` has no objects: give a manifest, or a directory of .yaml or .json files", .0.display())]
    Empty(PathBuf),
    /// The name of the file or directory can't be a component's.
    #[error("`{}` can't name an addon: rename it to letters, digits and -", .0.display())]
    Name(PathBuf),
}

#[derive(Serialize)]
struct Document {
    component: Head,
    manifest: Vec<Entry>,
    provide: Vec<Provide>,
}

#[derive(Serialize)]
struct Head {
    name: String,
    version: &'static str,
    description: String,
    phase: &'static str,
    provides: Vec<String>,
    requires: Vec<&'static str>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    yaml: String,
    verbatim: bool,
}

#[derive(Serialize)]
struct Provide {
    role: String,
    probe: Probe,
}

#[derive(Serialize)]
struct Probe {
    kind: &'static str,
}

/// The text of a TOML component that applies the manifests of a file, or of all files directly in a
/// directory in the order of their names. It is ready when their objects work, and has the name of
/// the file or directory.
///
/// # Errors
/// A file can't be read or isn't a manifest, there is no object, or the name can't be a
/// component's.
pub fn component(path: &Path) -> Result<String, ManifestsError> {
    let name = name_of(path)?;
    let mut entries = Vec::new();
    for file in files(path)? {
        let yaml = fs::read_to_string(&file).map_err(|cause| ManifestsError::Read { path: file.clone(), cause })?;
        let objects = objects(&yaml).map_err(|cause| ManifestsError::Manifest { path: file.clone(), cause })?;
        if objects.is_empty() {
            continue;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        entries.push(Entry { name, yaml, verbatim: true });
    }
    if entries.is_empty() {
        return Err(ManifestsError::Empty(path.to_owned()));
    }
    let document = Document {
        component: Head {
            version: "1.0.0",
            description: format!("the manifests of {}", path.display()),
            phase: "Addon",
            provides: vec![name.clone()],
            requires: vec![kubernix_core::roles::APISERVER],
            name: name.clone(),
        },
        manifest: entries,
        provide: vec![Provide { role: name, probe: Probe { kind: "manifests" } }],
    };
    Ok(toml::to_string(&document).expect("tables of texts are TOML"))
}

fn name_of(path: &Path) -> Result<String, ManifestsError> {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = stem.unwrap_or_default().to_string_lossy().to_lowercase().replace(['_', '.', ' '], "-");
    if is_name(&name) { Ok(name) } else { Err(ManifestsError::Name(path.to_owned())) }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ManifestsError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |cause| ManifestsError::Read { path: path.to_owned(), cause };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.is_file()
            && file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
        {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared;

    #[test]
    fn a_directory_becomes_a_component() {
        let dir = tempfile::tempdir().unwrap();
        let addon = dir.path().join("My_addon");
        fs::create_dir(&addon).unwrap();
        fs::write(addon.join("b.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{b}}\"}\n").unwrap();
        fs::write(addon.join("a.json"), r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#).unwrap();
        fs::write(addon.join("README.md"), "no manifest").unwrap();
        let text = component(&addon).unwrap();
        let declared = declared::parse(&addon, text.clone()).unwrap();
        assert_eq!(declared.head().name.get_ref(), "my-addon");
        assert!(text.find("a.json") < text.find("b.yaml"), "{text}");
    }

    #[test]
    fn an_invalid_manifest_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bad.yaml");
        let rejection = |text: &str| {
            fs::write(&file, text).unwrap();
            component(&file).unwrap_err().to_string()
        };
        let error = rejection("apiVersion: v1\nkind: [\n");
        assert!(error.contains("bad.yaml") && error.contains("line 2"), "{error}");
        assert!(rejection("apiVersion: v1\nkind: A\n").contains("document 1"));
        assert!(rejection("# nothing\n").contains("has no objects"));
        let error = component(&dir.path().join("missing.yaml")).unwrap_err().to_string();
        assert!(error.contains("missing.yaml"), "{error}");
        assert!(component(dir.path()).is_err());
    }
}
