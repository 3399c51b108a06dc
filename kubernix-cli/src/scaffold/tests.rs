//! Tests of the files for every role. Tests with cargo and a cluster show that the crates build and
//! boot.

use super::*;
use kubernix_core::roles;
use std::fs;

fn made(name: &str, role: Option<&str>) -> (tempfile::TempDir, CreatedCrate) {
    let base = tempfile::tempdir().unwrap();
    let made = create(base.path(), name, role, &[], "kubernix").unwrap();
    (base, made)
}

fn text(made: &CreatedCrate, path: &str) -> String {
    let path = made.directory.join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files, by path.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_role_has_a_crate_without_a_placeholder_left() {
    let known = [
        roles::DATASTORE,
        roles::APISERVER_PORT,
        roles::APISERVER,
        roles::CONTROLLER_MANAGER,
        roles::SCHEDULER,
        roles::CRI,
        roles::KUBELET,
        roles::NODE,
        roles::PROXY,
        roles::DNS,
        "registry",
    ];
    for role in known.into_iter().map(Some).chain([None]) {
        let (_base, made) = made("my-part", role);
        assert_eq!(made.role, role.unwrap_or("my-part"));
        for path in files(&made.directory) {
            let text = fs::read_to_string(&path).unwrap();
            let open =
                |text: &str| text.split("__").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            assert!(!open(&text), "{role:?}: {}: {text}", path.display());
            assert!(!open(path.to_str().unwrap()) && path.extension().is_none_or(|end| end != "in"));
        }
        let manifest = text(&made, "my-part.toml");
        assert!(manifest.contains(&format!("\"{}\"", made.role)), "{manifest}");
        kubernix_host::plugins::Manifest::read(&made.directory.join("my-part.toml")).unwrap();
        for name in
            ["Cargo.toml", ".gitignore", "build.rs", "README.md", "src/lib.rs", "contract/kubernix-core/src/lib.rs"]
        {
            assert!(!text(&made, name).is_empty());
        }
        // `control_plane_ip` returns a result.
        assert!(!text(&made, "src/lib.rs").contains("control_plane_ip())"));
    }
}

#[test]
fn the_embedded_contract_has_the_versions_of_this_workspace() {
    let (_base, made) = made("hello", None);
    let core = text(&made, "contract/kubernix-core/Cargo.toml");
    assert!(core.contains(&format!("version = \"{}\"", kubernix_core::VERSION)), "{core}");
    assert!(core.contains("version = \"=0.11.3\""), "{core}");
    let kit = text(&made, "contract/kubernix-testkit/Cargo.toml");
    assert!(kit.contains("path = \"../kubernix-core\""), "{kit}");
    for manifest in [core, kit] {
        assert!(!manifest.contains("workspace") && !manifest.contains("dev-dependencies"), "{manifest}");
    }
    let lock = text(&made, "Cargo.lock");
    let of_abi_stable = |package: &&str| package.contains("name = \"abi_stable\"\n");
    let package = lock.split("[[package]]").find(of_abi_stable).unwrap_or_default();
    assert!(package.contains("version = \"0.11.3\""), "{lock}");
}

#[test]
fn the_next_commands_select_the_plugin_if_others_fill_its_role() {
    let up = |name: &str, role| made(name, role).1.next.pop().unwrap();
    assert_eq!(up("hello", None), "kubernix up --plugin target/release");
    assert_eq!(up("my-cri", Some("cri")), "kubernix up --plugin target/release --cri my-cri");
    let agent = "kubernix up --plugin target/release --set kubelet=mine --set node=mine";
    assert_eq!(up("mine", Some("node")), agent);
    assert_eq!(made("my-cri", Some("cri")).1.next[2], "kubernix plugin check target/release/libmy_cri.so");
}

#[test]
fn invalid_roles_are_rejected_and_nothing_is_written() {
    let base = tempfile::tempdir().unwrap();
    for (role, why) in [("sandbox", "only KuberNix itself"), ("My Role", "a role is a word")] {
        let error = create(base.path(), "hello", Some(role), &[], "kubernix").unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}
