//! Collects the ages of the contract under test: every released version, the one of this checkout,
//! and later ones derived from it. It must not build or run them.

use crate::grow;
use flate2::read::GzDecoder;
use kubernix_tests::{program, run, runs_all};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The files of a package, by their paths in it.
pub type Files = BTreeMap<String, String>;

/// One age.
pub struct Age {
    /// `MAJOR.MINOR.PATCH`.
    pub version: (u32, u32, u32),
    /// The number of steps ahead of this checkout, each with an `extra_N`.
    pub grown: usize,
    /// Whether it breaks the rules: it changes a frozen struct within the major version.
    pub broken: bool,
    /// Its source.
    pub files: Files,
}

impl Age {
    /// `1.0.0`.
    pub fn text(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }

    /// Its form in package names: `1-0-0`.
    pub fn label(&self) -> String {
        self.text().replace('.', "-")
    }

    /// Whether its plugins and hosts have this major version and keep the rules.
    pub fn valid(&self) -> bool {
        !self.broken && self.version.0 == current().0
    }
}

/// The version of this checkout's contract.
pub fn current() -> (u32, u32, u32) {
    version(kubernix_core::VERSION)
}

/// All ages, oldest first: the valid ones, a broken one, and the next major.
pub fn all() -> Vec<Age> {
    let (major, minor, patch) = current();
    let mut ages: Vec<Age> = released().into_iter().filter(|age| age.version.0 == major).collect();
    let files = checkout();
    if !ages.iter().any(|age| age.version == current()) {
        ages.push(Age { version: (major, minor, patch), grown: 0, broken: false, files: files.clone() });
    }
    let with_version = |mut files: Files, version: (u32, u32, u32)| {
        let (major, minor, patch) = version;
        grow::version(&mut files, &format!("{major}.{minor}.{patch}"));
        (version, files)
    };
    let mut grown_files = files.clone();
    // A quick run has one step, since each step compiles another host and another plugin.
    let steps = if runs_all() { 2 } else { 1 };
    for grown in 1..=steps {
        grow::append(&mut grown_files, grown);
        let (version, files) = with_version(grown_files.clone(), (major, minor + grown as u32, 0));
        ages.push(Age { version, grown, broken: false, files });
    }
    // The version after them, except for the change that breaks the rules.
    let mut broken_files = grown_files;
    grow::break_promise(&mut broken_files);
    let (version, broken_files) = with_version(broken_files, (major, minor + steps as u32 + 1, 0));
    ages.push(Age { version, grown: steps, broken: true, files: broken_files });
    let (version, files) = with_version(files, (major + 1, 0, 0));
    ages.push(Age { version, grown: 0, broken: false, files });
    ages
}

/// The released contracts, oldest first.
pub fn released() -> Vec<Age> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/released");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut ages: Vec<Age> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "crate")).map(open).collect();
    ages.sort_by_key(|age| age.version);
    assert!(!ages.is_empty(), "{} has no released contract: `cargo xtask contract release`", folder.display());
    ages
}

fn open(path: PathBuf) -> Age {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let version = version(stem.strip_prefix("kubernix-core-").unwrap_or_else(|| panic!("{stem} is no contract")));
    Age { version, grown: 0, broken: false, files: unpacked(&path) }
}

/// The contract of this checkout as a package of its own, without inherited workspace keys.
fn checkout() -> Files {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract/checkout");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let mut cargo = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["package", "--package=kubernix-core", "--no-verify", "--allow-dirty", "--offline"]);
    run(cargo.arg("--target-dir").arg(&target).current_dir(root)).ok();
    unpacked(&target.join(format!("package/kubernix-core-{}.crate", kubernix_core::VERSION)))
}

fn unpacked(path: &Path) -> Files {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut files = Files::new();
    for entry in archive.entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        let name: PathBuf = entry.path().expect("a path").components().skip(1).collect();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        // Metadata that cargo package added isn't needed for the build.
        if name == Path::new("Cargo.toml") || name.starts_with("src") {
            files.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    files
}

fn version(text: &str) -> (u32, u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("{text} is no version")));
    let mut next = || parts.next().unwrap_or_else(|| panic!("{text} is no version"));
    (next(), next(), next())
}
