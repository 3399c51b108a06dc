//! Pins: the go.mod and go.sum that determine what a Go module's tools are built from, and the
//! main.go of a module that is a program. Ours are compiled in. Those of a manifest lie beside it.
//!
//! This module must not know what is built from them.

use super::version;
use semver::Version;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// How much of a go.sum is read. The longest of ours has 80 KB.
const MAX_SIZE: u64 = 4 << 20;

/// The Go release for a go.mod that names none: the first that downloads other releases.
const FIRST_GO: Version = Version::new(1, 21, 0);

/// Why pins can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// They lie outside of the manifest's directory.
    #[error("`{0}` isn't a directory below the manifest's directory, where pins have to be")]
    Outside(String),
    /// A file can't be read.
    #[error("can't read `{}`: {cause}; pins are a directory with go.mod and go.sum", path.display())]
    Unreadable {
        /// The file, or the manifest's directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file is too large.
    #[error("`{}` is larger than {} MiB", .0.display(), MAX_SIZE >> 20)]
    TooLarge(PathBuf),
}

/// A pin module's go.mod and go.sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// The text of go.mod.
    pub go_mod: Cow<'static, str>,
    /// The text of go.sum.
    pub go_sum: Cow<'static, str>,
    /// The text of main.go, if the module is a program. Modules of manifests have none.
    pub main_go: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/pins.rs"));

/// The compiled-in pin module of this name.
pub fn embedded(name: &str) -> Option<Pins> {
    let (_, go_mod, go_sum, main_go) = EMBEDDED.iter().find(|(module, ..)| *module == name)?;
    Some(Pins { go_mod: (*go_mod).into(), go_sum: (*go_sum).into(), main_go: *main_go })
}

impl Pins {
    /// Reads the pins in `below`, a directory inside of `base`.
    ///
    /// # Errors
    /// It is outside of `base`, or a file can't be read.
    pub fn read(base: &Path, below: &str) -> Result<Self, PinsError> {
        let is_inside =
            !below.is_empty() && Path::new(below).components().all(|part| matches!(part, Component::Normal(_)));
        let outside = || PinsError::Outside(below.to_owned());
        if !is_inside {
            return Err(outside());
        }
        let dir = base.join(below);
        let unreadable = |path: &Path, cause| PinsError::Unreadable { path: path.to_owned(), cause };
        let base = base.canonicalize().map_err(|cause| unreadable(base, cause))?;
        let read = |name: &str| {
            let path = dir.join(name);
            // A symbolic link may lead outside.
            let real = path.canonicalize().map_err(|cause| unreadable(&path, cause))?;
            if !real.starts_with(&base) {
                return Err(outside());
            }
            let mut text = String::new();
            let read = File::open(&real).and_then(|file| file.take(MAX_SIZE + 1).read_to_string(&mut text));
            match read.map_err(|cause| unreadable(&path, cause))? as u64 {
                0..=MAX_SIZE => Ok(text),
                _ => Err(PinsError::TooLarge(path)),
            }
        };
        Ok(Self { go_mod: read("go.mod")?.into(), go_sum: read("go.sum")?.into(), main_go: None })
    }

    /// The Go release that the pin module requires.
    pub fn go_version(&self) -> Version {
        let line = self.go_mod.lines().find_map(|line| line.strip_prefix("go "));
        line.and_then(|text| version::parse(text.trim())).unwrap_or(FIRST_GO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;
    use std::collections::BTreeSet;
    use std::fs;

    #[test]
    fn every_module_of_the_table_is_embedded_and_no_other() {
        let table: BTreeSet<&str> = Table::embedded().go.keys().map(String::as_str).collect();
        assert_eq!(EMBEDDED.iter().map(|(module, ..)| *module).collect::<BTreeSet<_>>(), table);
        assert!(embedded("etcd").unwrap().go_mod.contains("go.etcd.io/etcd"));
        assert_eq!(embedded("none"), None);
    }

    #[test]
    fn pins_must_be_below_their_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("plugins");
        for pins in [base.join("toolchain/x"), dir.path().join("outside")] {
            fs::create_dir_all(&pins).unwrap();
            fs::write(pins.join("go.mod"), "module x\n\ngo 1.24\n").unwrap();
            fs::write(pins.join("go.sum"), "sums\n").unwrap();
        }
        let pins = Pins::read(&base, "toolchain/x").unwrap();
        assert_eq!((pins.go_version(), pins.go_sum.as_ref()), (Version::new(1, 24, 0), "sums\n"));
        std::os::unix::fs::symlink("../outside", base.join("link")).unwrap();
        let absolute = dir.path().join("outside");
        for out in ["../outside", "toolchain/../../outside", "", ".", absolute.to_str().unwrap(), "link"] {
            let error = Pins::read(&base, out).unwrap_err().to_string();
            assert!(error.contains(&format!("`{out}` isn't a directory below")), "{error}");
        }
        fs::remove_file(base.join("toolchain/x/go.sum")).unwrap();
        let error = Pins::read(&base, "toolchain/x").unwrap_err().to_string();
        assert!(error.contains("toolchain/x/go.sum") && error.ends_with("go.mod and go.sum"), "{error}");
    }
}
