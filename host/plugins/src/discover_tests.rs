//! Discovery with real files.

use super::super::lock::{Entry, LOCK_FILE};
use super::*;
use kubernix_toolchain::text::digits::sha256;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

/// The directories of a test.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.0.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        dir
    }
}

fn write(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    path.to_owned()
}

/// A library with a manifest, by the name of its file.
fn library(dir: &Path, file: &str, name: &str) -> PathBuf {
    write(&dir.join(format!("{file}.toml")), &format!("name = \"{name}\"\nversion = \"1.0.0\"\ncontract = \"1\"\n"));
    write(&dir.join(format!("lib{file}.so")), "code")
}

fn component(dir: &Path, name: &str) -> PathBuf {
    write(&dir.join(format!("{name}.toml")), "[component]\n")
}

fn names(discovery: &Discovery) -> Vec<(&str, SearchPlace)> {
    discovery.found.iter().map(|found| (found.name.as_str(), found.source)).collect()
}

fn run(search: &Search) -> Discovery {
    search.run(&Trust::of_process())
}

#[test]
fn a_user_has_search_places_by_environment() {
    let variable = |name: &str| match name {
        VARIABLE => Some("/a::b/c".into()),
        "XDG_DATA_HOME" => Some("relative".into()),
        _ => None,
    };
    let search = Search::of(vec!["x.so".into()], Some(Path::new("/r/one")), Some("/home/me".into()), variable);
    assert_eq!(search.variable, [Path::new("/a"), Path::new("b/c")]);
    assert_eq!(search.cluster.as_deref(), Some(Path::new("/r/one/plugins")));
    assert_eq!(search.user.as_deref(), Some(Path::new("/home/me/.local/share/kubernix/plugins")));
    let moved = Search::of(Vec::new(), None, None, |name| (name == "XDG_DATA_HOME").then(|| "/d".into()));
    assert_eq!(moved.user.as_deref(), Some(Path::new("/d/kubernix/plugins")));
}

#[test]
fn the_first_file_of_a_name_wins_and_lists_the_shadowed_ones() {
    let disk = Disk::new();
    let [given, variable, cluster, user, system] =
        ["given", "variable", "cluster", "user", "system"].map(|name| disk.dir(name));
    let first = library(&given, "runtime", "runtime");
    let second = library(&cluster, "z_other_file", "runtime");
    let third = component(&system, "runtime");
    component(&variable, "b");
    library(&variable, "a", "a");
    component(&user, "c");
    let search = Search {
        // The same file by another path doesn't count twice.
        given: vec![first.clone(), given.join("../given")],
        variable: vec![variable],
        cluster: Some(cluster),
        user: Some(user),
        system: vec![system, disk.0.path().join("none")],
    };
    let discovery = run(&search);
    assert!(discovery.problems.is_empty(), "{:?}", discovery.problems);
    let expected = [
        ("runtime", SearchPlace::Given),
        ("b", SearchPlace::Variable),
        ("a", SearchPlace::Variable),
        ("c", SearchPlace::User),
    ];
    assert_eq!(names(&discovery), expected);
    let runtime = &discovery.found[0];
    assert_eq!((&runtime.path, &runtime.shadows), (&first, &vec![second, third]));
    assert!(runtime.manifest.is_some() && runtime.kind == Kind::SharedLibrary && !runtime.locked);
}

#[test]
fn the_others_are_found_despite_bad_files() {
    let disk = Disk::new();
    let dir = disk.dir("plugins");
    library(&dir, "good", "good");
    let bare = write(&dir.join("libbare.so"), "code");
    let broken = write(&dir.join("broken.toml"), "x = \n");
    let orphan = write(&dir.join("orphan.toml"), "name = \"orphan\"\nversion = \"1.0.0\"\ncontract = \"1\"\n");
    let open = library(&dir, "open", "open");
    fs::set_permissions(dir.join("open.toml"), Permissions::from_mode(0o666)).unwrap();
    fs::create_dir(dir.join("libfolder.so")).unwrap();
    write(&dir.join("folder.toml"), "name = \"folder\"\nversion = \"1.0.0\"\ncontract = \"1\"\n");
    let gone = dir.join("gone.so");
    let discovery = run(&Search { given: vec![gone.clone(), dir.clone()], ..Search::default() });
    assert_eq!(names(&discovery), [("good", SearchPlace::Given)]);
    let problems: Vec<(&Path, String)> =
        discovery.problems.iter().map(|problem| (problem.path.as_path(), problem.error.to_string())).collect();
    let expected = [
        (gone, "No such file"),
        (broken, "broken.toml:1:5: "),
        (bare, "has no manifest: write"),
        (dir.join("libfolder.so"), "isn't a regular file"),
        (open, "open.toml` can be written by others (mode 0666), so what is in it isn't trusted: chmod go-w"),
        (orphan, "nor the manifest of a liborphan.so beside it"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for ((path, error), (expected_path, part)) in problems.iter().zip(&expected) {
        assert!(path == expected_path && error.contains(part), "{path:?}: {error}");
    }
}

#[test]
fn a_directory_that_others_can_write_is_rejected() {
    let disk = Disk::new();
    let dir = disk.dir("plugins");
    library(&dir, "x", "x");
    fs::set_permissions(&dir, Permissions::from_mode(0o775)).unwrap();
    let discovery = run(&Search { user: Some(dir.clone()), ..Search::default() });
    assert!(discovery.found.is_empty());
    let error = discovery.problems[0].error.to_string();
    assert!(error.ends_with(&format!("chmod go-w {}", dir.display())), "{error}");
}

#[test]
fn a_link_is_resolved_and_its_manifest_is_beside_it() {
    let disk = Disk::new();
    let (dir, built) = (disk.dir("plugins"), disk.dir("target"));
    let library = library(&built, "x", "inner");
    symlink(&library, dir.join("libx.so")).unwrap();
    write(&dir.join("x.toml"), "name = \"outer\"\nversion = \"1.0.0\"\ncontract = \"1\"\n");
    let discovery = run(&Search { user: Some(dir), ..Search::default() });
    assert_eq!(names(&discovery), [("outer", SearchPlace::User)]);
    assert_eq!(discovery.found[0].path, library);
}

#[test]
fn installed_files_are_checked_against_their_lock() {
    let disk = Disk::new();
    let dir = disk.dir("plugins");
    let path = library(&dir, "x", "x");
    let unlisted = library(&dir, "y", "y");
    let hash = |file: &str| (file.to_owned(), sha256(&fs::read(dir.join(file)).unwrap()));
    let entry = Entry {
        name: "x".into(),
        version: "1.0.0".into(),
        file: "libx.so".into(),
        origin: "/o".into(),
        sha256: [hash("libx.so"), hash("x.toml")].into(),
    };
    Lock { plugins: vec![entry] }.write(&dir).unwrap();
    let installed = Search { user: Some(dir.clone()), ..Search::default() };
    let discovery = run(&installed);
    assert_eq!(names(&discovery), [("x", SearchPlace::User)]);
    assert!(discovery.found[0].locked);
    let problems = &discovery.problems[..];
    assert!(
        matches!(problems, [Problem { path, error: DiscoverError::Locked(LockError::Unlisted { .. }) }] if *path == unlisted)
    );
    // A named place may have other files, but its installed ones must be unchanged.
    let named = Search { given: vec![dir.clone()], ..Search::default() };
    assert_eq!(run(&named).found.len(), 2);
    write(&path, "other code");
    for search in [&installed, &named] {
        let discovery = run(search);
        assert!(discovery.found.iter().all(|found| found.name != "x"));
        let changed =
            |p: &Problem| p.path == path && matches!(p.error, DiscoverError::Locked(LockError::Changed { .. }));
        assert!(discovery.problems.iter().any(changed));
    }
    write(&dir.join(LOCK_FILE), "nonsense");
    for search in [&installed, &named] {
        let discovery = run(search);
        assert!(discovery.found.is_empty(), "a broken lock rejects the whole directory");
        assert_eq!(discovery.problems.len(), 2);
    }
}
