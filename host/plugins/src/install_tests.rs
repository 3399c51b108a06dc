//! Installing and removing plugins, with real directories and a local server.

use super::super::archive::tests::{gzip, tar};
use super::super::discover::{Search, SearchPlace};
use super::super::fetch::tests::serve;
use super::super::lock::LOCK_FILE;
use super::*;
use std::os::unix::fs::PermissionsExt;
use tar::EntryType;

const FILE: EntryType = EntryType::Regular;

/// A source, and a plugin directory that doesn't exist yet.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(disk.source()).unwrap();
        disk
    }

    fn source(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("source")
    }

    fn plugins(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("data/kubernix/plugins")
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.source().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A library with pins.
    fn library(&self, name: &str, version: &str) -> String {
        self.write(&format!("{name}.toml"), &manifest(name, version, &format!("toolchain/{name}")));
        self.write(&format!("toolchain/{name}/go.mod"), "module x\n");
        self.write(&format!("toolchain/{name}/go.sum"), "");
        self.write(&format!("lib{name}.so"), &format!("code of {version}"))
    }

    fn install(&self, source: &str) -> Result<Vec<Installed>, InstallError> {
        install(source, &self.plugins(), &|_, _| Ok(()))
    }

    /// All files in the plugin directory, except the guard and the lock.
    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut todo = vec![self.plugins()];
        while let Some(at) = todo.pop() {
            for entry in fs::read_dir(at).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.plugins()).unwrap().display().to_string();
                if path.is_dir() {
                    todo.push(path);
                } else if name != ".lock" && name != LOCK_FILE {
                    found.insert(name);
                }
            }
        }
        found
    }

    fn found(&self) -> Vec<String> {
        let search = Search { user: Some(self.plugins()), ..Search::default() };
        let discovery = search.run(&Trust::of_process());
        assert!(discovery.problems.is_empty(), "{:?}", discovery.problems);
        assert!(discovery.found.iter().all(|found| found.locked && found.source == SearchPlace::User));
        discovery
            .found
            .into_iter()
            .map(|found| format!("{} {}", found.name, found.version.unwrap_or_default()))
            .collect()
    }
}

fn manifest(name: &str, version: &str, pins: &str) -> String {
    format!(
        "name = \"{name}\"\nversion = \"{version}\"\ncontract = \"1\"\n[go.{name}]\nversion = \"1.0.0\"\ncgo = false\n\
         pins = \"{pins}\"\n[tool.{name}]\ngo = \"{name}\"\npackage = \"example.org/{name}\"\n"
    )
}

fn names(files: &[&str]) -> BTreeSet<String> {
    files.iter().map(ToString::to_string).collect()
}

#[test]
fn a_library_is_installed_and_removed_with_all_its_files() {
    let disk = Disk::new();
    let source = disk.library("x", "1.0.0");
    disk.write("README.md", "not a plugin's");
    let installed = disk.install(&source).unwrap();
    let path = disk.plugins().join("libx.so");
    let expected = Installed { name: "x".into(), version: "1.0.0".into(), path: path.clone(), replaced: None };
    assert_eq!(installed, [expected]);
    assert_eq!(disk.files(), names(&["libx.so", "toolchain/x/go.mod", "toolchain/x/go.sum", "x.toml"]));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::metadata(disk.plugins()).unwrap().permissions().mode() & 0o022, 0);
    assert_eq!(disk.found(), ["x 1.0.0"]);
    assert_eq!(Lock::read(&disk.plugins()).unwrap().unwrap().get("x").unwrap().origin, source);
    assert_eq!(remove("x", &disk.plugins()).unwrap().version, "1.0.0");
    assert_eq!(disk.files(), names(&[]));
    assert!(!disk.plugins().join("toolchain").exists());
    assert_eq!(disk.found(), [""; 0]);
}

#[test]
fn a_newer_version_replaces_all_files_of_the_older_one() {
    let disk = Disk::new();
    let source = disk.library("x", "1.0.0");
    disk.install(&source).unwrap();
    disk.write("x.toml", &manifest("x", "2.0.0", "pins"));
    disk.write("pins/go.mod", "module x\n");
    disk.write("pins/go.sum", "");
    let installed = disk.install(&source).unwrap();
    assert_eq!(installed[0].replaced.as_deref(), Some("1.0.0"));
    assert_eq!(disk.files(), names(&["libx.so", "pins/go.mod", "pins/go.sum", "x.toml"]));
    assert_eq!(disk.found(), ["x 2.0.0"]);
}

#[test]
fn all_plugins_of_a_directory_are_installed() {
    let disk = Disk::new();
    disk.library("x", "1.0.0");
    disk.write("kwok.toml", "[component]\nname = \"kwok\"\nversion = \"0.1.0\"\n");
    let source = disk.source().display().to_string();
    assert_eq!(disk.install(&source).unwrap().len(), 2);
    assert_eq!(disk.found(), ["kwok 0.1.0", "x 1.0.0"]);
    disk.write("second.toml", "[component]\nname = \"x\"\n");
    assert!(matches!(disk.install(&source), Err(InstallError::Twice { .. })));
    assert!(matches!(
        disk.install(&disk.source().join("toolchain").display().to_string()),
        Err(InstallError::Nothing(_))
    ));
}

#[test]
fn a_rejected_plugin_changes_nothing() {
    let disk = Disk::new();
    let source = disk.library("x", "1.0.0");
    disk.install(&source).unwrap();
    let before = (disk.files(), fs::read_to_string(disk.plugins().join(LOCK_FILE)).unwrap());
    let unchanged = |error: InstallError, part: &str| {
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!((disk.files(), fs::read_to_string(disk.plugins().join(LOCK_FILE)).unwrap()), before, "{part}");
        assert_eq!(disk.found(), ["x 1.0.0"]);
    };
    // The library is changed, and then rejected.
    disk.write("libx.so", "other code");
    let reject = |path: &Path, kind: Kind| {
        assert_eq!((fs::read_to_string(path).unwrap().as_str(), kind), ("other code", Kind::SharedLibrary));
        Err(ElfError::BrokenHeaders)
    };
    let error = install(&source, &disk.plugins(), &check_headers).unwrap_err();
    unchanged(error, &format!("{source}: not an ELF file"));
    let error = install(&source, &disk.plugins(), &reject).unwrap_err();
    unchanged(error, &format!("{source}: its program headers are broken"));
    let newer = |key: &str, value: &str| {
        disk.write("x.toml", &format!("{key} = \"{value}\"\n{}", manifest("x", "2.0.0", "toolchain/x")));
        disk.install(&source).unwrap_err()
    };
    unchanged(newer("host", "99.0"), "needs KuberNix 99.0.0 or newer");
    disk.write("x.toml", &manifest("x", "2.0.0", "toolchain/x").replace("contract = \"1\"", "contract = \"99\""));
    unchanged(disk.install(&source).unwrap_err(), "built for plugin interface ^99");
    disk.write("x.toml", &manifest("x", "2.0.0", "toolchain/none"));
    unchanged(disk.install(&source).unwrap_err(), "toolchain/none/go.mod");
    fs::remove_file(disk.source().join("x.toml")).unwrap();
    unchanged(disk.install(&source).unwrap_err(), "has no manifest: write");
    disk.write(
        "toolchain/evil.toml",
        "[component]\n[go.x]\nversion = \"1.0.0\"\ncgo = false\npins = \"../../outside\"\n",
    );
    let evil = disk.source().join("toolchain/evil.toml").display().to_string();
    unchanged(disk.install(&evil).unwrap_err(), "`../../outside` isn't a directory below");
    unchanged(disk.install("/nonexistent/libx.so").unwrap_err(), "can't read `/nonexistent/libx.so`");
}

#[test]
fn files_of_others_are_not_replaced() {
    let disk = Disk::new();
    let shared = |name: &str| {
        disk.write(
            &format!("{name}.toml"),
            &format!("[component]\n[go.x]\nversion = \"1.0.0\"\ncgo = false\npins = \"pins\"\n# {name}\n"),
        )
    };
    disk.write("pins/go.mod", "module x\n");
    disk.write("pins/go.sum", "");
    let (a, b) = (shared("a"), shared("b"));
    disk.install(&a).unwrap();
    disk.install(&b).unwrap();
    remove("a", &disk.plugins()).unwrap();
    assert_eq!(disk.files(), names(&["b.toml", "pins/go.mod", "pins/go.sum"]), "b still has its pins");
    disk.write("pins/go.sum", "other");
    let error = disk.install(&a).unwrap_err().to_string();
    assert!(error.contains("pins/go.sum` exists: it belongs to the plugin `b`"), "{error}");
    fs::write(disk.plugins().join("c.toml"), "by hand").unwrap();
    let error = disk.install(&disk.write("c.toml", "[component]\n")).unwrap_err().to_string();
    assert!(error.contains("c.toml` exists and wasn't installed by"), "{error}");
    assert_eq!(fs::read_to_string(disk.plugins().join("c.toml")).unwrap(), "by hand");
    let error = remove("bb", &disk.plugins()).unwrap_err().to_string();
    assert!(error.ends_with(", there is `b`"), "{error}");
    assert!(matches!(remove("b", &disk.source().join("none")), Err(InstallError::Unknown { .. })));
}

#[test]
fn nothing_is_installed_into_a_directory_that_others_can_write() {
    let disk = Disk::new();
    fs::create_dir_all(disk.plugins()).unwrap();
    fs::set_permissions(disk.plugins(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = disk.install(&disk.library("x", "1.0.0")).unwrap_err();
    assert!(matches!(error, InstallError::Untrusted(Untrusted::Writable { .. })), "{error}");
    assert_eq!(disk.files(), names(&[]));
}

#[test]
fn an_archive_or_a_component_is_installed_from_an_address() {
    let disk = Disk::new();
    let text = manifest("x", "1.0.0", "pins");
    let entries = [
        ("x-1.0.0/libx.so", FILE, "code"),
        ("x-1.0.0/x.toml", FILE, text.as_str()),
        ("x-1.0.0/pins/go.mod", FILE, "module x\n"),
        ("x-1.0.0/pins/go.sum", FILE, ""),
        ("x-1.0.0/README.md", FILE, "read me"),
    ];
    let bytes = gzip(&tar(&entries));
    let hash = sha256(&bytes);
    let origin = format!("{}/x.tar.gz#sha256={hash}", serve("200 OK", bytes));
    assert_eq!(disk.install(&origin).unwrap()[0].name, "x");
    assert_eq!(disk.files(), names(&["libx.so", "pins/go.mod", "pins/go.sum", "x.toml"]));
    assert_eq!(Lock::read(&disk.plugins()).unwrap().unwrap().get("x").unwrap().origin, origin);
    let component = serve("200 OK", b"[component]\nversion = \"1.2.3\"\n".to_vec());
    disk.install(&format!("{component}/releases/kwok.toml?raw=true")).unwrap();
    assert_eq!(disk.found(), ["kwok 1.2.3", "x 1.0.0"]);
}

#[test]
fn nothing_is_installed_from_a_hostile_archive() {
    let disk = Disk::new();
    let text = manifest("x", "1.0.0", "pins");
    let plugin = [("libx.so", FILE, "code"), ("x.toml", FILE, text.as_str())];
    let with = |entry: (&'static str, EntryType, &'static str)| tar(&[plugin[0], plugin[1], entry]);
    for (bytes, part) in [
        (with(("../../evil", FILE, "a")), "leads out of the directory"),
        (with(("pins/go.mod", EntryType::Symlink, "/etc/passwd")), "is a link"),
        (with(("readme", FILE, "a")), "pins/go.mod"),
        (tar(&[("readme", FILE, "a")]), "has no plugin"),
        (b"<html>not found</html>".to_vec(), "neither a .tar nor a .tar.gz"),
    ] {
        let error = disk.install(&format!("{}/x.tar", serve("200 OK", bytes))).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert_eq!(disk.files(), names(&[]));
    }
    let wrong = format!("{}/x.tar#sha256={}", serve("200 OK", tar(&plugin)), sha256(b"other"));
    assert!(matches!(disk.install(&wrong), Err(InstallError::Fetch(FetchError::Hash { .. }))));
    assert!(!disk.dir.path().join("evil").exists());
}
