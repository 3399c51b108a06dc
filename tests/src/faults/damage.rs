//! Damages files: removes, empties, cuts or overwrites them, or writes a version that doesn't exist
//! yet.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A kind of damage to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// It is removed.
    Missing,
    /// It is empty.
    Empty,
    /// Its second half is lost.
    Cut,
    /// Each byte is replaced by another one.
    Garbage,
    /// Its format is that of a later version.
    Newer,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Missing, Self::Empty, Self::Cut, Self::Garbage, Self::Newer];

    /// Its name in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::Cut => "cut in half",
            Self::Garbage => "garbage",
            Self::Newer => "of a newer version",
        }
    }

    /// The damaged content; `None` if the damage doesn't apply to the file because it has no
    /// version.
    pub fn of(self, path: &Path, content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Missing | Self::Empty => Some(Vec::new()),
            Self::Cut => Some(content[..content.len() / 2].to_vec()),
            Self::Garbage => Some(content.iter().map(|byte| byte.wrapping_add(101)).collect()),
            Self::Newer => newer(path, content),
        }
    }

    /// Damages a file. Returns false if the damage doesn't apply to it.
    ///
    /// # Panics
    /// The file can't be read or written.
    pub fn inflict(self, path: &Path) -> bool {
        let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Some(damaged) = self.of(path, &content) else { return false };
        let done = if self == Self::Missing { fs::remove_file(path) } else { fs::write(path, damaged) };
        done.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        true
    }
}

/// The content with an unknown format version and an unknown key.
fn newer(path: &Path, content: &[u8]) -> Option<Vec<u8>> {
    const KEYS: [&str; 2] = ["format", "version"];
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text = std::str::from_utf8(content).ok()?;
        return Some(format!("format = 1000\nfrom-the-future = true\n{text}").into_bytes());
    }
    let mut value: Value = serde_json::from_slice(content).ok()?;
    let object = value.as_object_mut()?;
    for key in KEYS {
        if object.get(key).is_some_and(Value::is_number) {
            object.insert(key.to_owned(), 1000.into());
        }
    }
    // An object without a version gets one.
    if !KEYS.iter().any(|key| object.get(*key).is_some_and(Value::is_number)) {
        object.insert("format".to_owned(), 1000.into());
    }
    object.insert("kubernix".to_owned(), "1000.0.0".into());
    serde_json::to_vec(&value).ok()
}

/// The state files of a cluster by path: all files below its root directory, except data and logs
/// of components. The directory is searched, so that new state files aren't forgotten.
pub fn state_files(root: &Path) -> Vec<PathBuf> {
    /// Data of components and nodes, and images.
    const DATA: [&str; 5] = ["control", "nodes", "images", "shared", "plugins"];
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            let is_data = directory == root && DATA.iter().any(|name| path.ends_with(name));
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            match kind {
                Ok(kind) if kind.is_dir() && !is_data => open.push(path),
                Ok(kind) if kind.is_file() && !is_log => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Whether a file has a key that can't be replaced without loss: of a CA, for encryption of data,
/// or for signatures of tokens.
pub fn is_lasting(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    path.parent().is_some_and(|parent| parent.ends_with("pki"))
        && (name == "ca" || name.ends_with("-ca") || name == "encryption" || name == "service-account")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_damage_changes_a_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state.json");
        let whole = br#"{"format":1,"name":"a"}"#;
        for damage in Damage::ALL {
            fs::write(&path, whole).unwrap();
            assert!(damage.inflict(&path));
            assert_ne!(fs::read(&path).ok().as_deref(), Some(&whole[..]), "{damage:?}");
            assert_eq!(path.exists(), damage != Damage::Missing, "{damage:?}");
        }
    }

    #[test]
    fn a_newer_version_is_still_well_formed() {
        let newer = |path: &str, text: &str| Damage::Newer.of(Path::new(path), text.as_bytes());
        let json: Value = serde_json::from_slice(&newer("a.json", r#"{"version":2}"#).unwrap()).unwrap();
        assert_eq!(json, json!({ "version": 1000, "kubernix": "1000.0.0" }));
        let json: Value = serde_json::from_slice(&newer("a.json", "{}").unwrap()).unwrap();
        assert_eq!(json["format"], 1000);
        assert!(newer("a.toml", "nodes = 2\n").unwrap().starts_with(b"format = 1000\n"));
        assert_eq!(newer("ca.crt", "-----BEGIN"), None);
    }

    #[test]
    fn lasting_keys_are_recognised() {
        let lasts = |name: &str| is_lasting(&Path::new("/r/pki").join(name));
        assert!(["ca.key", "etcd-ca.crt", "encryption.yaml", "service-account.key"].into_iter().all(lasts));
        assert!(!["admin.key", "etcd.crt", "nodes/ca.crt"].into_iter().any(lasts));
    }

    #[test]
    fn state_files_exclude_data_and_logs() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for directory in ["run", "pki/etcd", "control/etcd", "nodes/node-0"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["state.json", "run/x", "run/keeper.log", "pki/etcd/ca.crt", "control/etcd/db", "nodes/node-0/a"] {
            fs::write(root.join(file), "x").unwrap();
        }
        let found: Vec<_> = state_files(root).iter().map(|path| path.strip_prefix(root).unwrap().to_owned()).collect();
        assert_eq!(found, ["pki/etcd/ca.crt", "run/x", "state.json"].map(PathBuf::from));
    }
}
