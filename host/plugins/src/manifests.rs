//! Manifests as components: a file, or a directory of files, becomes the TOML component that
//! applies them.
//!
//! It must not know what is in the objects, but all of them have to be ones.

use kubernix_core::{Manifest, is_name};
use kubernix_toolchain::text::manifest::objects;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How files of manifests end.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

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
/// directory in the order of their names, and is ready when their objects work. It is named like
/// the file or directory.
///
/// # Errors
/// The file can't be read, there is none, one isn't a manifest (with its line), or the name can't
/// be a component's.
pub fn component(path: &Path) -> io::Result<String> {
    let name = name_of(path)?;
    let mut entries = Vec::new();
    for file in files(path)? {
        let yaml =
            fs::read_to_string(&file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        let manifest = Manifest::new(file.display().to_string(), yaml);
        let objects = objects(&manifest.yaml)
            .map_err(|cause| io::Error::other(format!("manifest `{}`: {cause}", manifest.name)))?;
        if objects.is_empty() {
            continue;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        entries.push(Entry { name, yaml: manifest.yaml, verbatim: true });
    }
    if entries.is_empty() {
        let what =
            format!("`{}` holds no objects: give a manifest, or a directory of .yaml or .json files", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
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
    toml::to_string(&document).map_err(io::Error::other)
}

fn name_of(path: &Path) -> io::Result<String> {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = stem.unwrap_or_default().to_string_lossy().to_lowercase().replace(['_', '.', ' '], "-");
    if is_name(&name) {
        return Ok(name);
    }
    let what = format!("`{}` can't name an addon: rename it to letters, digits and -", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.is_file() && file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
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
    fn what_is_no_manifest_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bad.yaml");
        let refused = |text: &str| {
            fs::write(&file, text).unwrap();
            component(&file).unwrap_err().to_string()
        };
        let error = refused("apiVersion: v1\nkind: [\n");
        assert!(error.contains("bad.yaml") && error.contains("line 2"), "{error}");
        assert!(refused("apiVersion: v1\nkind: A\n").contains("document 1"));
        assert!(refused("# nothing\n").contains("holds no objects"));
        let error = component(&dir.path().join("missing.yaml")).unwrap_err().to_string();
        assert!(error.contains("missing.yaml"), "{error}");
        assert!(component(dir.path()).is_err());
    }
}
