//! Loads invalid and damaged plugin files: each is rejected with the reason, and the host still
//! loads others.

use crate::workshop::{Workshop, compiled};
use kubernix_core::abi_stable::library::AbiHeader;
use kubernix_host::plugins::load;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Loads an invalid file, checks that a valid one can be loaded afterwards, and returns the error.
#[track_caller]
fn refusal(path: &Path) -> String {
    let error = load(path).map(|loaded| loaded.version).expect_err("it can't be loaded").to_string();
    let loaded = load(&Workshop::open().sample("rogue")).expect("the host still loads others");
    assert_eq!(loaded.handle.describe().expect("it answers").name, "rogue");
    // The message starts with the path.
    let expected = error.strip_prefix(&format!("{}: ", path.display()));
    expected.unwrap_or_else(|| panic!("{error} doesn't begin with its path")).to_owned()
}

/// Creates a file with this content and a unique name.
fn file(folder: &TempDir, content: &[u8]) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let path = folder.path().join(format!("libhostile{}.so", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::write(&path, content).expect("a file");
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn rogue() -> Vec<u8> {
    fs::read(Workshop::open().sample("rogue")).expect("a plugin")
}

#[test]
fn files_that_are_not_libraries_for_this_machine_are_rejected() {
    let folder = folder();
    let (ours, other) = if cfg!(target_arch = "aarch64") { (183, 62) } else { (62, 183) };
    let with = |at: usize, bytes: &[u8]| {
        let mut content = rogue();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    for (content, expected) in [
        (Vec::new(), "not an ELF file (too short)".to_owned()),
        (b"#!/bin/sh\n".to_vec(), "not an ELF file (too short)".to_owned()),
        (b"name = \"plugin\"\n".repeat(20), "not an ELF file".to_owned()),
        (with(18, &[other, 0]), format!("built for another CPU (ELF machine {other}, this host is {ours})")),
        (with(4, &[1]), "not a 64-bit little-endian ELF file".to_owned()),
        (with(5, &[2]), "not a 64-bit little-endian ELF file".to_owned()),
        (with(54, &[0; 4]), "its program headers are broken".to_owned()),
    ] {
        assert_eq!(refusal(&file(&folder, &content)), expected);
    }
    assert_eq!(refusal(folder.path()), "can't be read: Is a directory (os error 21)");
    assert_eq!(refusal(&folder.path().join("none.so")), "can't be read: No such file or directory (os error 2)");
}

#[test]
fn a_truncated_file_is_rejected_at_every_length() {
    let folder = folder();
    let content = rogue();
    let mut refused = 0;
    // If the dynamic linker mapped a file cut within its pages, SIGBUS would kill this process.
    for part in 1..32 {
        let length = content.len() * part / 32;
        let path = file(&folder, &content[..length]);
        match load(&path) {
            Err(error) => {
                let expected = format!("{}: cut off: {length} bytes, segment ", path.display());
                assert!(error.to_string().starts_with(&expected), "{error}");
                refused += 1;
            }
            // The tables after the last segment are only for debuggers.
            Ok(loaded) => assert_eq!(loaded.handle.describe().expect("it answers").name, "rogue"),
        }
    }
    assert!(refused > 16, "only {refused} of 31 were refused");
    for (length, expected) in [
        (10, "not an ELF file (too short)"),
        (63, "not an ELF file (too short)"),
        (64, "cut off: 64 bytes, segment 0 ends at "),
    ] {
        let refused = refusal(&file(&folder, &content[..length]));
        assert!(refused.starts_with(expected), "{refused}");
    }
}

#[test]
fn programs_and_libraries_that_are_not_plugins_are_rejected() {
    let program = compiled("program.c", &["-no-pie"], "program");
    assert_eq!(refusal(&program), "not a shared object (ELF type 2)");
    let object = compiled("library.c", &["-c"], "library.o");
    assert_eq!(refusal(&object), "not a shared object (ELF type 1)");
    // Only the dynamic linker distinguishes it from a library.
    let movable = refusal(&compiled("program.c", &["-pie", "-fPIE"], "movable"));
    assert!(movable.starts_with("can't be loaded: "), "{movable}");
    let library = compiled("library.c", &["-shared", "-fPIC"], "liblibrary.so");
    assert_eq!(refusal(&library), "is a shared library but not a plugin (it exports no plugin header)");
}

#[test]
fn missing_symbols_and_libraries_are_reported_on_load() {
    let arguments = ["-shared", "-fPIC", "-Wl,-z,lazy"];
    let refused = refusal(&compiled("undefined.c", &arguments, "libundefined.so"));
    assert_eq!(refused, "can't be loaded: undefined symbol: nowhere_to_be_found");
    let arguments = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-L.", "-l:libneeded-by-hostile.so"];
    let folder = folder();
    let needed =
        compiled("library.c", &["-shared", "-fPIC", "-Wl,-soname,libneeded-by-hostile.so"], "libneeded-by-hostile.so");
    let beside = format!("-L{}", needed.parent().expect("a folder").display());
    let arguments = arguments.map(|argument| if argument == "-L." { beside.as_str() } else { argument });
    let library = compiled("library.c", &arguments, "libneeds.so");
    let moved = folder.path().join("libneeds.so");
    fs::copy(library, &moved).expect("a copy");
    let refused = refusal(&moved);
    assert!(
        refused.starts_with("can't be loaded: libneeded-by-hostile.so: cannot open shared object file"),
        "{refused}"
    );
}

#[test]
fn plugins_of_other_programs_are_rejected() {
    assert_eq!(refusal(&Workshop::open().sample("other")), "is a plugin of another program (editor)");
    let ours = AbiHeader::VALUE;
    let content = rogue();
    let at = content.windows(32).position(|window| *window == ours.magic_string).expect("a header");
    let folder = folder();
    for (major, minor) in [(ours.abi_major, ours.abi_minor - 1), (ours.abi_major + 1, 0)] {
        let mut content = content.clone();
        content[at + 32..at + 36].copy_from_slice(&major.to_ne_bytes());
        content[at + 36..at + 40].copy_from_slice(&minor.to_ne_bytes());
        let expected =
            format!("built with abi_stable ABI {major}.{minor}, this host needs {}.{}", ours.abi_major, ours.abi_minor);
        assert_eq!(refusal(&file(&folder, &content)), expected);
    }
}

#[test]
fn a_panic_of_a_constructor_is_reported_with_the_file() {
    assert_eq!(refusal(&Workshop::open().sample("stillborn")), "doesn't start: `component` panicked: not today");
}

#[test]
fn a_copy_of_a_library_is_loaded_as_another_instance() {
    let folder = folder();
    let copy = load(&file(&folder, &rogue())).expect("a copy loads");
    let original = load(&Workshop::open().sample("rogue")).expect("as does the original");
    // The registry detects the duplicate by the name of the component.
    let names = [copy, original].map(|loaded| loaded.handle.describe().expect("it answers").name);
    assert_eq!(names, ["rogue", "rogue"]);
}

#[test]
fn a_replaced_file_is_rejected_instead_of_reusing_the_loaded_one() {
    let folder = folder();
    let path = file(&folder, &rogue());
    assert!(load(&path).and_then(|_| load(&path)).is_ok(), "the same file again");
    let new = folder.path().join("new");
    fs::copy(Workshop::open().sample("stillborn"), &new).expect("another plugin");
    fs::rename(&new, &path).expect("in its place");
    assert_eq!(
        refusal(&path),
        "was replaced after this process loaded it: what is loaded stays until the process ends, so restart it"
    );
}
