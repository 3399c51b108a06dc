//! Tests of managed files and their ledger on real file systems.

use super::tests::cluster;
use super::*;

#[test]
fn edited_files_are_kept_and_others_updated() {
    let (_base, root) = cluster();
    let (file, ledger) = (root.path().join("crio.conf"), root.managed_file());
    let write = |content: &str| write_managed(&file, content.as_bytes(), 0o600, &ledger).unwrap();
    assert_eq!(write("a"), Written::Created);
    assert_eq!(write("a"), Written::Unchanged);
    assert_eq!(write("b"), Written::Updated);
    let noted = fs::read(&ledger).unwrap();
    assert_eq!(write("b"), Written::Unchanged);
    assert_eq!(fs::read(&ledger).unwrap(), noted, "an unchanged file costs no write");
    fs::write(&file, "mine").unwrap();
    assert_eq!(write("b"), Written::KeptEdited);
    assert_eq!(write("c"), Written::KeptEdited);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::write(&file, "c").unwrap();
    assert_eq!(write("c"), Written::Unchanged);
    assert_eq!(write("d"), Written::Updated, "edited to the expected content, it counts as unedited");
    fs::remove_file(&file).unwrap();
    assert_eq!(write("d"), Written::Created);
}

#[test]
fn a_crash_between_ledger_and_file_does_not_make_the_file_look_edited() {
    let (_base, root) = cluster();
    let (file, ledger) = (root.path().join("crio.conf"), root.managed_file());
    write_managed(&file, b"old", 0o600, &ledger).unwrap();
    // As if the ledger had been written for "new", but not the file.
    write_managed(&file, b"new", 0o600, &ledger).unwrap();
    fs::write(&file, "old").unwrap();
    assert_eq!(write_managed(&file, b"new", 0o600, &ledger).unwrap(), Written::Updated);
}

#[test]
fn a_file_that_kubernix_never_wrote_is_kept() {
    let (_base, root) = cluster();
    let file = root.path().join("crio.conf");
    fs::write(&file, "theirs").unwrap();
    assert_eq!(write_managed(&file, b"ours", 0o600, &root.managed_file()).unwrap(), Written::KeptEdited);
    assert_eq!(fs::read(&file).unwrap(), b"theirs");
}

#[test]
fn the_ledger_survives_a_move_of_the_directory() {
    let (base, root) = cluster();
    write_managed(&root.path().join("a"), b"1", 0o600, &root.managed_file()).unwrap();
    let moved = Root::new(base.path(), "two");
    fs::rename(root.path(), moved.path()).unwrap();
    assert_eq!(write_managed(&moved.path().join("a"), b"2", 0o600, &moved.managed_file()).unwrap(), Written::Updated);
}

#[test]
fn a_file_truncated_by_a_power_loss_is_written_again() {
    let (_base, root) = cluster();
    let (file, ledger) = (root.path().join("crio.conf"), root.managed_file());
    let write = |content: &str| write_managed(&file, content.as_bytes(), 0o600, &ledger).unwrap();
    write("a");
    for torn in ["", "\0\0\0"] {
        fs::write(&file, torn).unwrap();
        assert_eq!(write("a"), Written::Updated);
        assert_eq!(fs::read_to_string(&file).unwrap(), "a");
    }
    assert_eq!(write(""), Written::Updated, "one that is to be empty");
    assert_eq!(write(""), Written::Unchanged);
}

#[test]
fn a_damaged_ledger_is_replaced_and_edits_are_kept() {
    for damage in [Some(""), Some("{ \"files\": {"), Some("\0\0"), Some("[]"), None] {
        let (_base, root) = cluster();
        assert_eq!(root.repair_ledger().unwrap(), None, "a new cluster has none");
        let ledger = root.managed_file();
        let write = |name: &str, content: &str| {
            write_managed(&root.path().join(name), content.as_bytes(), 0o600, &ledger).unwrap()
        };
        for name in ["same", "changed", "edited"] {
            assert_eq!(write(name, "ours"), Written::Created);
        }
        fs::write(root.path().join("edited"), "theirs").unwrap();
        fs::write(root.env_file(), "").unwrap();
        assert_eq!(root.repair_ledger().unwrap(), None, "it is whole");
        match damage {
            Some(damage) => fs::write(&ledger, damage).unwrap(),
            None => fs::remove_file(&ledger).unwrap(),
        }
        let warning = root.repair_ledger().unwrap().unwrap();
        let what = if damage.is_some() { "managed.json` is damaged" } else { "managed.json` is missing" };
        assert!(warning.contains(what) && warning.contains("remove it if you didn't edit it"), "{warning}");
        assert_eq!(root.repair_ledger().unwrap(), None, "it warns once");
        assert_eq!(write("same", "ours"), Written::Unchanged);
        assert_eq!(write("changed", "newer"), Written::KeptEdited, "unknown, so it is kept");
        assert_eq!(write("edited", "ours"), Written::KeptEdited);
        assert_eq!(write("same", "newer"), Written::Updated, "known again");
        fs::remove_file(root.path().join("changed")).unwrap();
        assert_eq!(write("changed", "newer"), Written::Created);
        assert_eq!(write("changed", "newest"), Written::Updated);
    }
}

#[test]
fn a_damaged_ledger_does_not_fail_a_component() {
    let (_base, root) = cluster();
    let ledger = root.managed_file();
    fs::write(&ledger, "{").unwrap();
    assert_eq!(write_managed(&root.path().join("a"), b"1", 0o600, &ledger).unwrap(), Written::Created);
    assert_eq!(write_managed(&root.path().join("a"), b"2", 0o600, &ledger).unwrap(), Written::Updated);
}
