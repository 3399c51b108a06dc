//! Finds what a cluster leaves outside of its root directory, by the names in that directory.

use crate::root_dir::{ClusterFile, ClusterId, Root};
use crate::sandbox::Traces;
use crate::sandbox::carriers::{self, Carrier};

/// The traces of a cluster with these carriers.
pub(super) fn look(root: &Root, carriers: &[Carrier]) -> Traces {
    Traces::find(root, carriers, names(root))
}

/// The names that the cluster's cgroups may have.
fn names(root: &Root) -> Vec<String> {
    // A copy of another cluster's directory doesn't have that cluster's ID.
    match root.open_existing() {
        Ok(state) => vec![state.cgroup().to_owned()],
        // An older version may have booted it.
        Err(_) => lost_id(root).into_iter().chain([root.name()]).collect(),
    }
}

/// The ID of a cluster whose `state.json` is damaged, from the state in force. `None` if a cluster
/// with this ID runs: the directory may be a copy of that cluster's.
fn lost_id(root: &Root) -> Option<String> {
    let state = ClusterFile::read(root).ok()??;
    let id: ClusterId = state.boot["environment"]["id"].as_str()?.parse().ok()?;
    let runs = carriers::all().into_iter().any(|carrier| carrier.id == id.as_str());
    (!runs).then(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root_dir::Allotment;
    use serde_json::json;
    use std::fs;

    #[test]
    fn a_copy_of_a_directory_has_no_cgroups_of_the_original() {
        let base = tempfile::tempdir().unwrap();
        let [original, copy] = ["one", "two"].map(|name| Root::new(base.path(), name));
        let id = original.create().unwrap().id.unwrap().to_string();
        assert_eq!(names(&original), std::slice::from_ref(&id));
        // A copy as by `cp -a`.
        fs::create_dir_all(copy.path()).unwrap();
        fs::copy(original.path().join("state.json"), copy.path().join("state.json")).unwrap();
        assert_eq!(names(&copy), ["two"]);
        // It doesn't have them after it got its own ID either.
        let own = copy.ensure_id().unwrap().id.unwrap().to_string();
        assert_ne!(own, id);
        assert_eq!(names(&copy), [own]);
    }

    #[test]
    fn the_names_are_found_with_a_damaged_state_file() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::new(base.path(), "one");
        let id = root.create().unwrap().id.unwrap().to_string();
        let boot = json!({ "environment": { "id": id } });
        ClusterFile::first(String::new(), Allotment::default(), boot).commit(&root).unwrap();
        fs::write(root.path().join("state.json"), "").unwrap();
        assert_eq!(names(&root), [id, "one".into()]);
        fs::write(ClusterFile::path(&root), "").unwrap();
        assert_eq!(names(&root), ["one"]);
    }

    #[test]
    fn a_missing_directory_has_its_name() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(names(&Root::new(base.path(), "one")), ["one"]);
    }
}
