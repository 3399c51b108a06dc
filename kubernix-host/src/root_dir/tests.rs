//! Tests of the root directory on real file systems.

use super::*;
use nix::fcntl::AT_FDCWD;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknod};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use tempfile::TempDir;

pub(super) fn cluster() -> (TempDir, Root) {
    let base = tempfile::tempdir().unwrap();
    let root = Root::new(base.path(), "one");
    root.create().unwrap();
    (base, root)
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Runs a test in a mount namespace of its own thread; says why where the machine doesn't allow
/// that.
fn with_own_mounts(test: impl FnOnce() + Send + 'static) {
    let name = std::thread::current().name().unwrap_or("root").to_owned();
    let run = move || {
        if let Err(errno) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
            kubernix_testkit::report_skip(&name, format!("no mount namespace can be made here: {errno}"));
            return;
        }
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        test();
    };
    std::thread::spawn(run).join().unwrap();
}

fn mount_tmpfs(at: &Path, options: &str) {
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
}

#[test]
fn a_new_directory_is_private_and_has_the_version_that_made_it() {
    let (_base, root) = cluster();
    assert_eq!(mode(root.path()), 0o700);
    assert_eq!(mode(&root.path().join("state.json")), 0o600);
    let state = root.open_existing().unwrap();
    assert_eq!((state.format, state.name.as_str()), (FORMAT, "one"));
    assert_eq!(state.kubernix, env!("CARGO_PKG_VERSION"));
    assert_eq!(root.create().unwrap(), state, "a second create opens it");
}

#[test]
fn paths_are_below_the_root_directory() {
    let root = Root::new("/base", "one");
    assert_eq!(root.node_component("node-0", "crio"), Path::new("/base/one/nodes/node-0/crio"));
    assert_eq!(root.control("etcd"), Path::new("/base/one/control/etcd"));
    assert_eq!(root.control_socket(), Path::new("/base/one/run/control.sock"));
    assert_eq!(root.name(), "one");
}

#[test]
fn a_directory_that_is_not_a_clusters_is_neither_used_nor_removed() {
    let base = tempfile::tempdir().unwrap();
    let root = Root::new(base.path(), "photos");
    fs::create_dir(root.path()).unwrap();
    fs::write(root.path().join("precious"), "x").unwrap();
    for error in [root.create().unwrap_err(), root.remove().unwrap_err()] {
        assert!(matches!(error, Error::NotACluster { .. }), "{error}");
        assert!(error.to_string().contains("photos` is not a cluster's root directory"), "{error}");
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_directory_and_an_interrupted_create_are_used() {
    let base = tempfile::tempdir().unwrap();
    let root = Root::new(base.path(), "one");
    fs::create_dir(root.path()).unwrap();
    fs::write(root.path().join(".kubernix-tmp-1-0"), "{").unwrap();
    root.create().unwrap();
    root.open_existing().unwrap();
    assert_eq!(mode(root.path()), 0o700);
}

#[test]
fn a_missing_directory_is_distinguished_from_a_file() {
    let base = tempfile::tempdir().unwrap();
    assert!(matches!(Root::new(base.path(), "none").open_existing(), Err(Error::Missing { .. })));
    assert!(matches!(Root::new(base.path(), "none").remove(), Err(Error::Missing { .. })));
    fs::write(base.path().join("file"), "").unwrap();
    assert!(matches!(Root::new(base.path(), "file").open_existing(), Err(Error::NotACluster { .. })));
    assert!(matches!(Root::new(base.path(), "file").create(), Err(Error::NotACluster { .. })));
}

#[test]
fn a_newer_versions_directory_is_rejected_with_advice() {
    let (_base, root) = cluster();
    let newer = r#"{ "format": 7, "kubernix": "3.2.1", "created": 12, "shards": [] }"#;
    fs::write(root.path().join("state.json"), newer).unwrap();
    for error in [root.create().unwrap_err(), root.open_existing().unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("made by KuberNix 3.2.1 (format 7, this version knows 1): use that version"), "{text}");
    }
    fs::write(root.path().join("shards"), "x").unwrap();
    root.remove().unwrap();
    assert!(!root.path().exists());
}

#[test]
fn a_damaged_state_is_named() {
    let (_base, root) = cluster();
    fs::write(root.path().join("state.json"), "{ \"format\": }").unwrap();
    let text = root.open_existing().unwrap_err().to_string();
    assert!(text.contains("state.json` can't be understood") && text.contains("line 1 column 13"), "{text}");
}

#[test]
fn damaged_clusters_are_listed_and_removed() {
    for (file, content) in [
        ("state.json", &b""[..]),
        ("state.json", b"{ \"format\": 1"),
        ("state.json", b"\xff\xfe"),
        ("state.json", b"[]"),
        ("removing.json", b""),
    ] {
        let (base, root) = cluster();
        fs::remove_file(root.path().join("state.json")).unwrap();
        fs::write(root.path().join(file), content).unwrap();
        // Users may add files to a cluster's directory.
        fs::write(root.path().join("notes"), "x").unwrap();
        assert!(matches!(root.integrity(false), Ok(Integrity::Damaged(_))), "{file} {content:?}");
        assert_eq!(list(base.path()).unwrap().len(), 1);
        root.remove().unwrap();
        assert!(!root.path().exists());
    }
}

#[test]
fn a_directory_without_a_state_file_is_removed_only_if_it_is_certainly_a_clusters() {
    let without_state = |names: &[&str]| {
        let (base, root) = cluster();
        fs::remove_file(root.path().join("state.json")).unwrap();
        for name in names {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        (base, root)
    };
    let (base, root) = without_state(&["run", "pki", "control"]);
    assert!(matches!(root.integrity(false), Ok(Integrity::Damaged(Error::NoState { .. }))));
    assert_eq!(list(base.path()).unwrap().len(), 1);
    root.remove().unwrap();
    assert!(!root.path().exists());

    let (base, root) = without_state(&["run", "pki", "photos"]);
    let error = root.remove().unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }) && error.to_string().contains("`photos`"), "{error}");
    assert!(list(base.path()).unwrap().is_empty() && root.path().join("pki").is_dir());
    root.remove_carried(true).unwrap_err();

    let (_base, root) = without_state(&["run", "pki"]);
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(root.remove(), Err(Error::NotACluster { .. })), "others can look into it");

    // Written by processes of a cluster after its directory had been removed.
    let (_base, root) = without_state(&["nodes"]);
    assert!(matches!(root.remove(), Err(Error::NotACluster { .. })));
    root.remove_carried(true).unwrap();
    assert!(!root.path().exists());
}

#[test]
fn errors_of_the_file_system_name_path_and_cause() {
    let error = Root::new("/proc/kubernix-test", "one").create().unwrap_err().to_string();
    assert!(error.contains("can't make the directory `/proc/kubernix-test`: No such file"), "{error}");
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Root::new(&file, "one").create().unwrap_err().to_string();
    assert!(error.contains("can't make the directory") && error.contains("Not a directory"), "{error}");
    let error = write_atomic(&file.join("config"), b"x", 0o600).unwrap_err().to_string();
    assert!(error.contains("file/config`: Not a directory"), "{error}");
    let error = write_atomic(&base.path().join("none/config"), b"x", 0o600).unwrap_err().to_string();
    assert!(error.contains("can't write") && error.contains("none/config`: No such file"), "{error}");
}

#[test]
fn a_full_disk_is_reported_and_leaves_the_old_content() {
    with_own_mounts(|| {
        let (_base, root) = cluster();
        fs::create_dir(root.images()).unwrap();
        mount_tmpfs(&root.images(), "size=64k");
        let file = root.images().join("config");
        assert!(write_atomic(&file, b"old", 0o600).unwrap());
        let error = write_atomic(&file, &vec![b'x'; 1 << 20], 0o600).unwrap_err().to_string();
        assert!(error.contains("images/config`: No space left on device"), "{error}");
        assert!(error.contains("free some space there or choose another --root"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.images()).unwrap().count(), 1, "nothing half-written remains");
    });
}

#[test]
fn a_read_only_disk_is_reported() {
    with_own_mounts(|| {
        let base = tempfile::tempdir().unwrap();
        mount_tmpfs(base.path(), "ro");
        let error = Root::new(base.path(), "one").create().unwrap_err().to_string();
        assert!(
            error.contains("one`: Read-only file system") && error.contains("choose a --root that can be"),
            "{error}"
        );
    });
}

/// A function like [`write_atomic`].
type Write = fn(&Path, &[u8], u32) -> Result<bool, Error>;

#[track_caller]
fn writes_only_what_differs(write: Write, file: &Path) {
    assert!(write(file, b"one", 0o640).unwrap());
    let inode = fs::metadata(file).unwrap().ino();
    assert!(!write(file, b"one", 0o600).unwrap());
    assert_eq!((fs::metadata(file).unwrap().ino(), mode(file)), (inode, 0o600));
    assert!(write(file, b"two", 0o600).unwrap());
    assert_eq!(fs::read(file).unwrap(), b"two");
}

#[test]
fn write_atomic_changes_only_what_differs() {
    let base = tempfile::tempdir().unwrap();
    writes_only_what_differs(write_atomic, &base.path().join("config"));
}

#[test]
fn write_durable_changes_only_what_differs() {
    let base = tempfile::tempdir().unwrap();
    writes_only_what_differs(write_durable, &base.path().join("state"));
    let error = write_durable(&base.path().join("none/state"), b"x", 0o600).unwrap_err().to_string();
    assert!(error.contains("none/state`: No such file"), "{error}");
    fs::create_dir(base.path().join("directory")).unwrap();
    let error = write_durable(&base.path().join("directory"), b"x", 0o600).unwrap_err().to_string();
    assert!(error.contains("can't write"), "{error}");
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 2, "no temporary file remains");
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    let base = tempfile::tempdir().unwrap();
    let (target, link) = (base.path().join("target"), base.path().join("link"));
    fs::write(&target, "theirs").unwrap();
    symlink(&target, &link).unwrap();
    assert!(write_atomic(&link, b"ours", 0o600).unwrap());
    assert_eq!(fs::read(&target).unwrap(), b"theirs");
    assert!(!link.is_symlink());
}

#[test]
fn files_that_a_boot_does_not_create_are_data() {
    let (_base, root) = cluster();
    let (control, node) = (root.control("store"), root.node("node-1").join("store"));
    for directory in [&control, &node] {
        assert!(!root.has_component_data("store").unwrap());
        fs::create_dir_all(directory.join("data/wal")).unwrap();
        write_managed(&directory.join("config"), b"x", 0o600, &root.managed_file()).unwrap();
        for trace in ["store.run.json", "store.log"] {
            fs::write(directory.join(trace), "x").unwrap();
        }
        assert!(!root.has_component_data("store").unwrap(), "directories and boot files aren't data");
        fs::write(directory.join("data/wal/0"), "x").unwrap();
        assert!(root.has_component_data("store").unwrap() && !root.has_component_data("other").unwrap());
        fs::remove_file(directory.join("data/wal/0")).unwrap();
    }
    assert_eq!(root.node_names().unwrap(), ["node-1".to_owned()].into());
    // Without the ledger, configuration files count as data: a missing key is requested then, and
    // not replaced.
    fs::write(root.managed_file(), "").unwrap();
    assert!(root.has_component_data("store").unwrap());
}

#[test]
fn list_returns_clusters_only() {
    let (base, _one) = cluster();
    Root::new(base.path(), "another").create().unwrap();
    fs::create_dir(base.path().join("photos")).unwrap();
    fs::write(base.path().join("file"), "").unwrap();
    let names: Vec<String> = list(base.path()).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["another", "one"]);
    assert_eq!(list(&base.path().join("none")).unwrap(), []);
    assert!(list(&base.path().join("file")).unwrap_err().to_string().contains("file`: Not a directory"));
}

#[test]
fn files_of_any_kind_and_mode_are_removed_and_links_are_not_followed() {
    let (base, root) = cluster();
    let precious = base.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "x").unwrap();
    let layer = root.node_component("node-0", "crio").join("storage/overlay/l1/diff");
    fs::create_dir_all(&layer).unwrap();
    symlink(&precious, layer.join("link")).unwrap();
    symlink("/", layer.join("slash")).unwrap();
    symlink("nowhere", layer.join("dangling")).unwrap();
    for index in 0..500 {
        fs::write(layer.join(format!("file{index}")), "x").unwrap();
    }
    nix::unistd::mkfifo(&layer.join("fifo"), Mode::S_IRUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(layer.join("socket")).unwrap();
    // An overlay's whiteout, if the machine permits to create one.
    let _ = mknod(&layer.join("whiteout"), SFlag::S_IFCHR, Mode::empty(), 0);
    for mode in [0o000, 0o300, 0o400, 0o1555, 0o6711] {
        let directory = layer.join(format!("mode{mode:o}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("inside"), "x").unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    }
    root.remove().unwrap();
    assert!(!root.path().exists());
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "x");
}

#[test]
fn a_tree_of_any_depth_is_removed() {
    let (_base, root) = cluster();
    let mut at = nix::fcntl::open(root.path(), nix::fcntl::OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..3000 {
        mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
        at = nix::fcntl::openat(&at, "d", nix::fcntl::OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    }
    drop(at);
    root.remove().unwrap();
    assert!(!root.path().exists());
    assert!(nix::sys::stat::fstatat(AT_FDCWD, root.path(), nix::fcntl::AtFlags::empty()).is_err());
}

#[test]
fn a_root_that_is_a_link_is_not_followed() {
    let (base, root) = cluster();
    let link = Root::new(base.path(), "link");
    symlink(root.path(), link.path()).unwrap();
    for error in [link.remove().unwrap_err(), link.create().unwrap_err(), link.open_existing().unwrap_err()] {
        assert!(
            matches!(error, Error::Link { .. }) && error.to_string().contains("link` is a symbolic link"),
            "{error}"
        );
    }
    root.open_existing().unwrap();
    assert_eq!(list(base.path()).unwrap().len(), 1);
}

#[test]
fn links_in_the_base_are_resolved() {
    let (base, root) = cluster();
    let real = base.path().canonicalize().unwrap();
    symlink("/run", real.join("elsewhere")).unwrap();
    assert_eq!(Root::new(real.join("elsewhere/../run/x"), "one").path(), Path::new("/run/x/one"));
    assert_eq!(Root::new(real.join("one/.."), "one"), root);
    assert_eq!(root.base(), real);
}

#[test]
fn an_interrupted_removal_can_be_completed_and_the_cluster_not_booted() {
    with_own_mounts(|| {
        let (_base, root) = cluster();
        let (stuck, data) = (root.path().join("pki/stuck"), root.path().join("control/etcd/data"));
        for directory in [&stuck, &data] {
            fs::create_dir_all(directory).unwrap();
        }
        let settings = "name = \"one\"";
        fs::write(root.settings_file(), settings).unwrap();
        // A mount point interrupts a removal as a kill would.
        mount_tmpfs(&stuck, "size=64k");
        root.remove().unwrap_err();
        assert!(root.open_existing().unwrap().removing);
        assert_eq!(list(root.base()).unwrap().len(), 1, "it is still listed");
        root.remove().unwrap_err();
        root.create().unwrap_err();
        nix::mount::umount(&stuck).unwrap();

        fs::write(root.settings_file(), settings).unwrap();
        let state = root.create().unwrap();
        assert!(!state.removing && !root.open_existing().unwrap().removing);
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["state.json"], "no file of the removed cluster is left");
        root.remove().unwrap();
        assert!(!root.path().exists());
    });
}

#[test]
fn an_empty_directory_is_no_cluster() {
    let base = tempfile::tempdir().unwrap();
    let root = Root::new(base.path(), "one");
    fs::create_dir(root.path()).unwrap();
    assert!(matches!(root.open_existing(), Err(Error::Missing { .. })));
}

#[test]
fn mounts_are_kept_and_everything_else_is_removed() {
    with_own_mounts(|| {
        let (base, root) = cluster();
        let precious = base.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "x").unwrap();
        let (bound, other, file) =
            (root.path().join("a/bound"), root.path().join("b/other"), root.path().join("c/file"));
        for directory in [&bound, &other, &root.path().join("c")] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(&file, "").unwrap();
        let bind =
            |from: &Path, to: &Path| mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        // A bind mount of the same file system has the same device number.
        bind(&precious, &bound);
        bind(&precious.join("file"), &file);
        mount_tmpfs(&other, "size=64k");
        fs::write(other.join("file"), "y").unwrap();
        fs::write(root.path().join("b/plain"), "z").unwrap();

        let Error::Remove { failures, .. } = root.remove().unwrap_err() else { panic!("not a Remove") };
        let mut mounted: Vec<_> = failures
            .iter()
            .map(|failure| match failure {
                Error::Mounted { path } => path.as_path(),
                other => panic!("{other}"),
            })
            .collect();
        mounted.sort();
        assert_eq!(mounted, [&bound, &other, &file]);
        assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "x");
        assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "y");
        assert!(!root.path().join("b/plain").exists(), "the removal continues after errors");

        for point in [&bound, &other, &file] {
            nix::mount::umount(point).unwrap();
        }
        root.remove().unwrap();
        assert!(!root.path().exists(), "a second removal completes it");
        assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "x");
    });
}

#[test]
fn all_failures_are_returned_and_the_first_are_shown() {
    let failures = (0..25).map(|n| Error::Mounted { path: format!("/m{n}").into() }).collect();
    let text = Error::Remove { path: "/x".into(), failures }.to_string();
    assert!(text.contains("/m19`") && !text.contains("/m20`") && text.ends_with("and 5 more"), "{text}");
}
