//! Tests `kubernix plugin check`: it accepts conforming plugins, names defects, and removes
//! everything that it booted.
//!
//! In a run with plugins, each of them is checked, and those that fill `cri` or `datastore` are
//! booted alone.

use kubernix_tests::{Base, Outcome, Parts, SHARED, Test, checks, kubernix, once, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A conforming component.
const NOTE: &str = r#"
[component]
name = "note"
version = "1.0.0"
description = "leaves a note"
phase = "Addon"
provides = ["note"]
requires = ["apiserver"]

[[parameter]]
name = "text"
default = "hello"
help = "what the note says"

[[manifest]]
name = "note"
yaml = """
apiVersion: v1
kind: ConfigMap
metadata: { name: note, namespace: default }
data: { text: "{{parameter.text}}" }
"""

[[provide]]
role = "note"
url = ""
probe = { kind = "http", target = "{{endpoint.apiserver}}/api/v1/namespaces/default/configmaps/note", identity = "admin" }
"#;

pub fn tests() -> Vec<Test> {
    let checks = checks![a_directory_is_checked_file_by_file, the_example_conforms, unreadable_plugins_are_reported];
    once(SHARED, &checks)
}

/// The tests of the plugins in a directory.
pub fn tests_of_plugins() -> Vec<Test> {
    once(SHARED, &checks![included_plugins_conform_and_leave_nothing])
}

fn check(args: &[&str]) -> Outcome {
    run(kubernix().args(["plugin", "check"]).args(args))
}

fn write(base: &Base, name: &str, text: &str) -> PathBuf {
    let path = base.path().join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file of our own");
    path
}

fn a_directory_is_checked_file_by_file(_: Parts) {
    let base = Base::new();
    write(&base, "good.toml", NOTE);
    // A process runs long before its server responds.
    let started = NOTE.replace("name = \"note\"\nversion", "name = \"bad\"\nbinaries = [\"etcd\"]\nversion");
    let begin = started.find("probe = ").expect("a probe");
    let process = "[[process]]\nname = \"bad\"\nprogram = \"{{executable.etcd}}\"\n";
    write(&base, "bad.toml", &format!("{}probe = {{ kind = \"started\" }}\n{process}", &started[..begin]));
    write(&base, "libbroken.so", "no library");
    let outcome = check(&["--output", "json", &base.path().to_string_lossy()]).exits(1);
    outcome.says(&["plugins that don't conform: bad, libbroken"]);
    let found = check(&["--output", "json", &base.path().to_string_lossy()]).json();
    let failed = |name: &str| {
        let one = found.as_array().into_iter().flatten().find(|one| one["component"] == name).expect("a report");
        let checks = one["checks"].as_array().expect("checks").iter().filter(|check| check["outcome"] == "failed");
        checks.map(|check| check["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(failed("note"), Vec::<String>::new());
    assert_eq!(failed("bad"), ["probes-ask"]);
    assert_eq!(failed("libbroken"), ["file-loads"]);
}

fn the_example_conforms(_: Parts) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let outcome = check(&[&workspace.join("examples/components/kwok.toml").to_string_lossy()]).ok();
    outcome.prints(&["0 failed", "it conforms"]);
}

fn unreadable_plugins_are_reported(_: Parts) {
    let base = Base::new();
    check(&[&base.path().to_string_lossy()])
        .exits(2)
        .says(&["there is no plugin at", "neither a libX.so nor an X.toml"]);
    check(&[&base.path().join("none.so").to_string_lossy()]).exits(1).prints(&["file-loads  FAILED", "none.so"]);
}

fn included_plugins_conform_and_leave_nothing(_: Parts) {
    let folder = PathBuf::from(std::env::var_os("KUBERNIX_TEST_PLUGINS").expect("a directory of plugins"));
    let files = fs::read_dir(&folder).expect("a directory").flatten().map(|entry| entry.path());
    let libraries = files.filter(|path| path.extension().is_some_and(|end| end == "so")).count();
    // Other tests run this check as well.
    let temporary = Base::new();
    let folder = folder.to_string_lossy();
    let mut check = kubernix();
    check.args(["plugin", "check", "--live", "--output", "json", &folder]).env("TMPDIR", temporary.path());
    let outcome = run(&mut check).ok();
    let all = outcome.json();
    let all = all.as_array().expect("reports");
    assert_eq!(all.len(), libraries, "{outcome:?}");
    let mut live = Vec::new();
    for one in all {
        let checks = one["checks"].as_array().expect("checks");
        let ids = checks.iter().filter(|check| check["outcome"] == "passed").filter_map(|check| check["id"].as_str());
        live.extend(ids.filter(|id| id.starts_with("cri-") || id.starts_with("datastore-")).map(str::to_owned));
        assert!(checks.iter().all(|check| check["outcome"] != "failed"), "{one}");
    }
    assert!(
        live.contains(&"cri-nothing-left".to_owned()) && live.contains(&"datastore-compact".to_owned()),
        "{live:?}"
    );
    let stopped = all.iter().filter(|one| one["checks"].to_string().contains("live-stops")).count();
    assert_eq!(stopped, all.len(), "{outcome:?}");
    // The booted component is removed with its directory.
    let left: Vec<_> = fs::read_dir(temporary.path()).expect("a directory").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
