//! The differences between settings and those of a cluster's last boot.

use super::{Key, Resolved, Settings};
use std::collections::BTreeMap;

/// The text of a setting that isn't set.
const UNSET: &str = "default";

/// A setting that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, as in `kubernix.toml`.
    pub key: String,
    /// The old value, as text.
    pub old: String,
    /// The new value.
    pub new: String,
    /// Only a boot can change it, because it belongs to the sandbox or the host.
    pub needs_boot: bool,
}

impl Resolved {
    /// The differences from the settings of the last boot; empty if there was none.
    pub fn changes(&self) -> Vec<Change> {
        self.saved.as_ref().map(|saved| changes(saved, &self.settings)).unwrap_or_default()
    }
}

fn saved_entries(settings: &Settings) -> BTreeMap<Key, String> {
    settings.entries().into_iter().filter(|(key, _)| key.is_saved()).collect()
}

fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let (mut old, new) = (saved_entries(old), saved_entries(new));
    let mut all = Vec::new();
    for (key, value) in new {
        match old.remove(&key) {
            Some(before) if before == value => {}
            before => all.push(change(&key, before, Some(value))),
        }
    }
    all.extend(old.into_iter().map(|(key, value)| change(&key, Some(value), None)));
    all
}

fn change(key: &Key, old: Option<String>, new: Option<String>) -> Change {
    Change {
        needs_boot: key.needs_boot(),
        key: key.to_string(),
        old: old.unwrap_or_else(|| UNSET.into()),
        new: new.unwrap_or_else(|| UNSET.into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::root_dir::Root;
    use crate::settings::{Defaults, Error, Partial, Resolved, resolve_with};
    use tempfile::TempDir;

    fn resolve(dir: &TempDir, flags: Partial) -> Result<Resolved, Error> {
        let at = |name: &str| Some(dir.path().join(name));
        let defaults = Defaults { home: at("home"), root: at("state"), cache_dir: at("cache"), config: at("none") };
        resolve_with(flags, Partial::default(), None, dir.path(), &defaults)
    }

    /// The directory of a cluster that was booted with these flags.
    fn booted(flags: Partial) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let resolved = resolve(&dir, flags).unwrap();
        assert_eq!((resolved.changes(), &resolved.saved), (vec![], &None), "the first boot has no changes");
        let root = Root::new(&resolved.settings.root, &resolved.settings.name);
        root.create().unwrap();
        crate::settings::save(&root, &resolved.settings).unwrap();
        dir
    }

    fn flags(sets: &[&str], cidr: &str) -> Partial {
        Partial { cidr: Some(cidr.parse().unwrap()), ..Partial::default().with_sets(sets).unwrap() }
    }

    fn changes(resolved: &Resolved) -> Vec<(String, String, String, bool)> {
        resolved.changes().into_iter().map(|it| (it.key, it.old, it.new, it.needs_boot)).collect()
    }

    #[test]
    fn changes_list_settings_of_the_cluster_and_not_those_of_a_call() {
        let dir = booted(flags(&["cri=x", "kubelet.max-pods=50"], "10.20.0.0/16"));
        let again = flags(&["cri=x", "kubelet.max-pods=50"], "10.20.0.0/16");
        assert_eq!(changes(&resolve(&dir, again.clone()).unwrap()), []);
        assert_eq!(changes(&resolve(&dir, Partial::default()).unwrap()), []);
        let of_the_call =
            Partial { boot_timeout_s: Some(7), install: Some(false), cache_dir: Some("/x".into()), ..again };
        assert_eq!(changes(&resolve(&dir, of_the_call).unwrap()), []);
        let mut other = flags(&["cri=y", "crio.log-level=debug"], "10.20.0.0/16");
        other.port = Some(7001);
        let text = |key: &str, old: &str, new: &str, boot| (key.to_owned(), old.to_owned(), new.to_owned(), boot);
        assert_eq!(
            changes(&resolve(&dir, other).unwrap()),
            [
                text("port", "first free from 6443", "7001", true),
                text("slots.cri", "x", "y", false),
                text("components.crio.log-level", "default", "debug", false),
            ]
        );
    }

    #[test]
    fn a_fresh_boot_may_change_the_cidr_and_keeps_other_settings() {
        let dir = booted(flags(&["kubelet.max-pods=50"], "10.20.0.0/16"));
        let mut other = flags(&[], "10.30.0.0/16");
        assert!(matches!(resolve(&dir, other.clone()), Err(Error::Fixed { key: "cidr", .. })));
        other.fresh = true;
        let resolved = resolve(&dir, other).unwrap();
        assert_eq!(resolved.settings.cidr.to_string(), "10.30.0.0/16");
        assert_eq!(resolved.settings.components["kubelet"]["max-pods"], "50");
        let plain = Partial { fresh: true, ..Partial::default() };
        assert_eq!(resolve(&dir, plain).unwrap().settings.cidr.to_string(), "10.20.0.0/16");
    }
}
