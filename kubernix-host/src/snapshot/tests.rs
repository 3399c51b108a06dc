//! Written snapshots, damaged ones, and hostile ones.

use super::*;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tar::EntryType;
use tempfile::TempDir;

const STATE: &str = "datastore/control/store/data/state";

fn head() -> Head {
    Head {
        format: FORMAT,
        kubernix: "1.2.3".into(),
        cluster: "one".into(),
        authority: "one".into(),
        saved: "2026-11-26T11:00:00.5Z".parse().unwrap(),
        cidr: "10.10.0.0/16".parse().unwrap(),
        datastore: Datastore { component: "store".into(), version: "1.0.0".into() },
    }
}

/// A directory with the files of a cluster and a snapshot of it.
fn saved() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("from");
    for (name, content) in [
        ("kubernix.toml", "name = \"one\"\n"),
        ("applied.json", "[]"),
        ("pki/ca.key", "secret"),
        ("pki/nodes/node-0/kubelet.crt", "certificate"),
        (STATE, "objects"),
    ] {
        let path = from.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    // A sparse file, such as a preallocated log.
    let log = fs::File::create(from.join("datastore/control/store/data/log")).unwrap();
    log.write_all_at(b"begin", 0).unwrap();
    log.set_len(1 << 20).unwrap();
    let file = place.path().join("one.tar.gz");
    write(&from, head(), &file, &|| true).unwrap().unwrap();
    (place, file)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn plain(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut stream = GzEncoder::new(Vec::new(), Compression::fast());
    stream.write_all(bytes).unwrap();
    stream.finish().unwrap()
}

/// A snapshot of any entries: name, kind, and content or link target.
fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.set_link_name(std::str::from_utf8(content).unwrap()).unwrap();
        }
        header.set_size(if is_link { 0 } else { content.len() as u64 });
        header.set_cksum();
        tar.append(&header, if is_link { b"" } else { *content }).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

/// The entries for a manifest and the two files that every snapshot has.
fn plain_entries(text: &[u8]) -> [(&str, EntryType, &[u8]); 3] {
    [("manifest.json", text), ("kubernix.toml", b"x"), (STATE, b"x")].map(|(name, it)| (name, EntryType::Regular, it))
}

fn entry(path: &str, content: &[u8]) -> Entry {
    let mut hash = pack::Hash::default();
    hash.write_all(content).unwrap();
    Entry { path: path.into(), size: content.len() as u64, mode: 0o600, sha256: hash.hex() }
}

fn listing(entries: Vec<Entry>) -> Vec<u8> {
    serde_json::to_vec(&Manifest { head: head(), entries }).unwrap()
}

fn unpacked(file: &Path, into: &Path) -> Result<Option<()>, Error> {
    let manifest = manifest(file)?;
    unpack(file, &manifest, into, &|| true)
}

#[test]
fn files_are_restored_with_modes_and_holes_to_the_paths_of_a_cluster() {
    let (place, file) = saved();
    let about = fs::metadata(&file).unwrap();
    assert_eq!(about.mode() & 0o7777, 0o600);
    assert!(about.size() < 16 << 10, "{} bytes", about.size());
    assert_eq!(names(place.path()), ["from", "one.tar.gz"]);
    let found = verify(&file).unwrap();
    assert_eq!(found.head, head());
    assert_eq!(manifest(&file).unwrap(), found);
    let into = place.path().join("into");
    fs::create_dir(&into).unwrap();
    unpack(&file, &found, &into, &|| true).unwrap().unwrap();
    let read = |name: &str| fs::read_to_string(into.join(name)).unwrap();
    assert_eq!(read("control/store/data/state"), "objects");
    assert_eq!([read("pki/ca.key"), read("applied.json"), read("kubernix.toml")], ["secret", "[]", "name = \"one\"\n"]);
    assert_eq!(fs::metadata(into.join("pki/ca.key")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(into.join("control/store/data")).unwrap().mode() & 0o7777, 0o700);
    let log = fs::metadata(into.join("control/store/data/log")).unwrap();
    assert_eq!(fs::read(into.join("control/store/data/log")).unwrap()[..6], *b"begin\0");
    assert!(log.size() == 1 << 20 && log.blocks() * 512 < 1 << 18, "{} blocks", log.blocks());
    // The manifest is the first entry, so that it can be read without the others.
    assert_eq!(plain(&file)[..13], *b"manifest.json");
}

#[test]
fn file_names_have_cluster_and_time_and_only_snapshots_are_replaced() {
    let (place, file) = saved();
    let by_name = target(place.path(), &head()).unwrap();
    assert_eq!(by_name, place.path().join("one-20261126T110000.500Z.tar.gz"));
    assert_eq!(target(&file, &head()).unwrap(), file);
    assert_eq!(target(&place.path().join("new"), &head()).unwrap(), place.path().join("new"));
    let other = place.path().join("precious");
    fs::write(&other, "precious").unwrap();
    let error = target(&other, &head()).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("is not a snapshot, so it is not replaced"), "{error}");
}

#[test]
fn a_cancelled_or_failed_write_keeps_the_existing_file() {
    let (place, file) = saved();
    let (before, from) = (fs::read(&file).unwrap(), place.path().join("from"));
    for limit in 0..12 {
        let count = std::cell::Cell::new(0);
        let should_continue = || count.replace(count.get() + 1) < limit;
        assert_eq!(write(&from, head(), &file, &should_continue).unwrap(), None, "{limit}");
    }
    let missing = place.path().join("nowhere/x.tar.gz");
    assert!(matches!(write(&from, head(), &missing, &|| true), Err(Error::Io { action: "write", .. })));
    fs::write(from.join("state.json"), "").unwrap();
    let error = write(&from, head(), &file, &|| true).unwrap_err().to_string();
    assert!(error.contains("`state.json` is not a file of a cluster"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(names(place.path()), ["from", "one.tar.gz"]);
    let manifest = manifest(&file).unwrap();
    assert_eq!(unpack(&file, &manifest, &from, &|| false).unwrap(), None);
}

#[test]
fn missing_and_changed_bytes_are_detected() {
    let (place, file) = saved();
    let (bytes, other) = (fs::read(&file).unwrap(), place.path().join("other.tar.gz"));
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        fs::write(&other, &bytes[..length]).unwrap();
        let error = verify(&other).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::NotASnapshot { .. }), "{length}: {error}");
    }
    // A change before the compression, which gzip's checksum doesn't detect.
    let inside = plain(&file);
    let at = inside.windows(7).position(|window| window == b"objects").unwrap();
    for (content, part) in [("0bjects", STATE), ("object\0", "has a wrong hash")] {
        let mut changed = inside.clone();
        changed[at..at + 7].copy_from_slice(content.as_bytes());
        fs::write(&other, gzip(&changed)).unwrap();
        let error = verify(&other).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("is damaged"), "{error}");
    }
    fs::write(&other, [&bytes[..], b"x"].concat()).unwrap();
    assert!(verify(&other).unwrap_err().to_string().contains("data after its end"));
}

#[test]
fn hostile_snapshots_are_rejected_with_the_reason() {
    const FILE: EntryType = EntryType::Regular;
    let own = || vec![entry("kubernix.toml", b"x"), entry(STATE, b"x")];
    let and = |entry| listing([own(), vec![entry]].concat());
    let one = |path: &str| and(entry(path, b"x"));
    let [up, root, twice] = ["pki/../../escaped", "/escaped", "kubernix.toml"].map(one);
    let (good, bare, hollow) = (listing(own()), listing(vec![]), listing(own()[..1].to_vec()));
    let (link, huge) = (one("pki/ca.crt"), and(Entry { size: 1 << 60, ..entry("pki/ca.crt", b"") }));
    let mut newer: serde_json::Value = serde_json::from_slice(&good).unwrap();
    (newer["format"], newer["kubernix"]) = (9.into(), "9.8.7".into());
    let newer = newer.to_string();
    let named = String::from_utf8(good.clone()).unwrap().replace("\"one\"", "\"../one\"");
    let manifest = |text: &[u8]| packed(&plain_entries(text));
    let with = |text: &[u8], entry| packed(&[&plain_entries(text)[..], &[entry]].concat());
    for (bytes, part) in [
        (Vec::new(), "not a snapshot of a cluster: it is empty"),
        (b"PK\x03\x04".to_vec(), "it is not a .tar.gz file"),
        (gzip(b""), "it has no entries"),
        (packed(&[("kubernix.toml", FILE, b"x")]), "its first entry is not `manifest.json`"),
        (packed(&[("manifest.json", EntryType::Symlink, b"/etc/passwd")]), "its first entry is not"),
        (packed(&[("manifest.json", FILE, b"{}")]), "its `manifest.json` is malformed"),
        (manifest(newer.as_bytes()), "was saved by KuberNix 9.8.7 in format 9, this version supports 1"),
        (manifest(named.as_bytes()), "../one"),
        (manifest(&bare), "it has no `kubernix.toml`"),
        (manifest(&hollow), "it has no data of the datastore `store`"),
        (with(&up, ("pki/../../escaped", FILE, b"x")), "`pki/../../escaped` is not a file of a cluster"),
        (with(&root, ("/escaped", FILE, b"x")), "`/escaped` is not a file of a cluster"),
        (with(&twice, ("kubernix.toml", FILE, b"x")), "`kubernix.toml` is listed twice"),
        (with(&link, ("pki/ca.crt", EntryType::Symlink, b"/etc/passwd")), "`pki/ca.crt` is not a regular file"),
        (with(&link, ("pki/ca.crt", EntryType::Link, b"/etc/passwd")), "`pki/ca.crt` is not a regular file"),
        (with(&link, ("pki/ca.crt", EntryType::Fifo, b"")), "`pki/ca.crt` is not a regular file"),
        (with(&link, ("pki/ca.crt", EntryType::GNULongName, b"x")), "`pki/ca.crt` is not a regular file"),
        (with(&link, ("pki/other", FILE, b"x")), "is not the one that its manifest lists"),
        (with(&link, ("pki/ca.crt", FILE, b"xx")), "is not the one that its manifest lists"),
        (manifest(&link), "its entry `pki/ca.crt` is missing"),
        (with(&good, ("pki/ca.crt", FILE, b"x")), "it has more entries than its manifest lists"),
        (with(&huge, ("pki/ca.crt", FILE, b"x")), "has 1099511627776 MiB of content, but"),
    ] {
        let outer = tempfile::tempdir().unwrap();
        let (file, into) = (outer.path().join("s"), outer.path().join("a/into"));
        fs::write(&file, bytes).unwrap();
        fs::create_dir_all(&into).unwrap();
        let error = unpacked(&file, &into).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert!(error.is_usage() || matches!(error, Error::NoSpace { .. }), "{error}");
        let plain = ["kubernix.toml", "control"];
        assert!(names(&into).iter().all(|name| plain.contains(&&**name)), "{part}: {:?}", names(&into));
        assert_eq!(
            (names(outer.path()), names(&outer.path().join("a"))),
            (vec!["a".into(), "s".into()], vec!["into".into()])
        );
    }
}

#[test]
fn a_list_has_intact_and_damaged_snapshots_and_no_other_files() {
    let (place, file) = saved();
    let at = |name: &str| place.path().join(name);
    let bytes = fs::read(&file).unwrap();
    fs::write(at("half.tar.gz"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(at("nothing.tar.gz"), "").unwrap();
    fs::write(at("notes"), "not a snapshot").unwrap();
    fs::write(at(".kubernix-tmp-x"), &bytes).unwrap();
    fs::copy(&file, at("other-name")).unwrap();
    let found = list(place.path()).unwrap();
    let listed: Vec<_> = found
        .iter()
        .map(|one| {
            let name = one.path.file_name().unwrap().to_string_lossy().into_owned();
            (name, one.head.is_some(), one.problem.is_none())
        })
        .collect();
    let wanted = [("half.tar.gz", true, false), ("nothing.tar.gz", false, false), ("one.tar.gz", true, true)];
    let wanted = wanted.into_iter().chain([("other-name", true, true)]);
    assert_eq!(listed, wanted.map(|(name, head, whole)| (name.to_owned(), head, whole)).collect::<Vec<_>>());
    assert!(matches!(list(&at("nowhere")), Err(Error::Io { action: "read", .. })));
}
