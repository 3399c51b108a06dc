//! `plugins.lock`: the plugins that were installed into a directory, with a hash of every file. A
//! file is checked against it before it is loaded.
//!
//! This module must not know how files are installed, nor what they are for.

use kubernix_toolchain::files::{FileError, write_atomic};
use kubernix_toolchain::text::digits::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The name of the file.
pub const LOCK_FILE: &str = "plugins.lock";

const HEADER: &str = "\
# The plugins that `kubernix plugin install` installed here, with the SHA-256 of each file. A changed file isn't loaded.
# Written by `kubernix plugin install` and `kubernix plugin remove`.
";

/// The plugins that were installed into a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// All plugins, by name.
    #[serde(default, rename = "plugin", skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Entry>,
}

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The component's name.
    pub name: String,
    /// Its version; empty if it has none.
    pub version: String,
    /// The file that is loaded: `libX.so`, or a TOML component.
    pub file: String,
    /// The path or address that it was installed from.
    pub origin: String,
    /// The SHA-256 of each of its files in hexadecimal, by path below the directory.
    pub sha256: BTreeMap<String, String>,
}

/// Why a lock, or an installed file, isn't trusted.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock can't be read or parsed.
    #[error("`{}` can't be parsed: {reason}; install its plugins again, into an empty directory", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file can't be read.
    #[error("can't read `{}`: {cause}; `kubernix plugin install {origin}` installs it again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
        /// The path or address that it was installed from.
        origin: String,
    },
    /// A file differs from the installed one.
    #[error(
        "`{}` was changed since it was installed: its sha256 is {found}, {LOCK_FILE} has {locked}; \
         `kubernix plugin install {origin}` installs it again, `kubernix plugin remove {name}` removes it",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its present hash.
        found: String,
        /// The hash of the installed file.
        locked: String,
        /// The plugin.
        name: String,
        /// The path or address that it was installed from.
        origin: String,
    },
    /// The directory has a lock, and the file isn't in it.
    #[error(
        "`{}` isn't in the {LOCK_FILE} beside it: install it with `kubernix plugin install`, or name it with --plugin",
        path.display()
    )]
    Unlisted {
        /// The file.
        path: PathBuf,
    },
}

impl Lock {
    /// Reads the lock of a directory. `None` if it has none.
    ///
    /// # Errors
    /// It can't be read or parsed.
    pub fn read(directory: &Path) -> Result<Option<Self>, LockError> {
        let path = directory.join(LOCK_FILE);
        let damaged = |reason: String| LockError::Damaged { path: path.clone(), reason };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let lock: Self = toml::from_str(&text).map_err(|error| damaged(error.message().replace('\n', ", ")))?;
        // `plugin remove` removes these paths.
        let outside = |entry: &Entry| entry.sha256.keys().chain([&entry.file]).find(|file| !is_below(file)).cloned();
        match lock.plugins.iter().find_map(outside) {
            Some(path) => Err(damaged(format!("`{path}` isn't below its directory"))),
            None => Ok(Some(lock)),
        }
    }

    /// Writes the lock of a directory, atomically.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, directory: &Path) -> Result<(), FileError> {
        let mut sorted = self.clone();
        sorted.plugins.sort_by(|a, b| a.name.cmp(&b.name));
        let text = HEADER.to_owned() + &toml::to_string(&sorted).expect("a table of texts is TOML");
        write_atomic(&directory.join(LOCK_FILE), text.as_bytes(), 0o644).map(drop)
    }

    /// The plugin of this name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.plugins.iter().find(|entry| entry.name == name)
    }

    /// Checks a file before it is loaded, and the files that it uses. `Ok(None)`: it isn't in the
    /// lock.
    ///
    /// # Errors
    /// A file differs from the installed one, or one of `used` wasn't installed with it.
    pub fn check(&self, directory: &Path, file: &str, used: &[String]) -> Result<Option<&Entry>, LockError> {
        let Some(entry) = self.plugins.iter().find(|entry| entry.file == file) else { return Ok(None) };
        if let Some(more) = used.iter().find(|used| !entry.sha256.contains_key(*used)) {
            return Err(LockError::Unlisted { path: directory.join(more) });
        }
        for (file, locked) in &entry.sha256 {
            let path = directory.join(file);
            let origin = entry.origin.clone();
            let unreadable = |cause| LockError::Unreadable { path: path.clone(), cause, origin: entry.origin.clone() };
            let found = sha256(&fs::read(&path).map_err(unreadable)?);
            if found != *locked {
                let (name, locked) = (entry.name.clone(), locked.clone());
                return Err(LockError::Changed { path, found, locked, name, origin });
            }
        }
        Ok(Some(entry))
    }
}

/// Whether a relative path stays below its directory.
pub(super) fn is_below(path: impl AsRef<Path>) -> bool {
    let mut parts = path.as_ref().components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_rejected_with_both_hashes_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let (library, manifest) = (dir.path().join("libx.so"), dir.path().join("x.toml"));
        fs::write(&library, "code").unwrap();
        fs::write(&manifest, "text").unwrap();
        assert_eq!(Lock::read(dir.path()).unwrap(), None);
        let entry = Entry {
            name: "x".into(),
            version: "1.0.0".into(),
            file: "libx.so".into(),
            origin: "/o/x".into(),
            sha256: [("libx.so".to_owned(), sha256(b"code")), ("x.toml".to_owned(), sha256(b"text"))].into(),
        };
        let lock = Lock { plugins: vec![entry] };
        lock.write(dir.path()).unwrap();
        let lock = Lock::read(dir.path()).unwrap().unwrap();
        let used = ["x.toml".to_owned()];
        let check = |used: &[String]| lock.check(dir.path(), "libx.so", used);
        assert_eq!(check(&used).unwrap().unwrap().name, "x");
        assert_eq!(lock.check(dir.path(), "liby.so", &used).unwrap(), None);
        assert!(matches!(check(&["pins/go.mod".to_owned()]), Err(LockError::Unlisted { .. })));
        for (path, text) in [(&library, "code"), (&manifest, "text")] {
            fs::write(path, "other").unwrap();
            let (found, locked, path_shown) = (sha256(b"other"), sha256(text.as_bytes()), path.display());
            let expected = format!(
                "`{path_shown}` was changed since it was installed: its sha256 is {found}, plugins.lock has {locked}; \
                 `kubernix plugin install /o/x` installs it again, `kubernix plugin remove x` removes it"
            );
            assert_eq!(check(&used).unwrap_err().to_string(), expected);
            fs::write(path, text).unwrap();
        }
        fs::remove_file(&manifest).unwrap();
        assert!(matches!(check(&used), Err(LockError::Unreadable { .. })));
    }

    #[test]
    fn a_lock_with_paths_outside_of_its_directory_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |file: &str| {
            format!(
                "[[plugin]]\nname = \"x\"\nversion = \"\"\nfile = \"x.toml\"\norigin = \"\"\n[plugin.sha256]\n\"{file}\" = \"\"\n"
            )
        };
        for text in [&entry("../x"), &entry("/etc/passwd"), &entry("a/../../x"), &entry(""), "plugin = 3", "x"] {
            fs::write(dir.path().join(LOCK_FILE), text).unwrap();
            let error = Lock::read(dir.path()).unwrap_err();
            assert!(matches!(error, LockError::Damaged { .. }), "{text}: {error}");
        }
        fs::write(dir.path().join(LOCK_FILE), entry("toolchain/x/go.mod")).unwrap();
        assert!(Lock::read(dir.path()).is_ok());
    }
}
