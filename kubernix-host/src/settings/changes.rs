//! How settings differ from those that a cluster was booted with last.

use super::{Key, Resolved, Settings};
use std::collections::BTreeMap;

/// What is shown of a setting without a value.
const UNSET: &str = "default";

/// A setting that is to be another one than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, as in `kubernix.toml`.
    pub key: String,
    /// What it was, as text.
    pub old: String,
    /// What it is to be.
    pub new: String,
    /// Nothing but a boot can change it: it is of the sandbox, and not of any component.
    pub of_boot: bool,
}

impl Resolved {
    /// What differs from what the cluster was booted with last; nothing where there is none.
    pub fn changes(&self) -> Vec<Change> {
        self.saved.as_ref().map(|saved| changes(saved, &self.settings)).unwrap_or_default()
    }
}

fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let saved = |settings: &Settings| -> BTreeMap<Key, String> {
        settings.entries().into_iter().filter(|(key, _)| key.is_saved()).collect()
    };
    let (mut old, new) = (saved(old), saved(new));
    let changed = |key: Key, old: Option<String>, new: Option<String>| Change {
        of_boot: key.is_of_boot(),
        key: key.to_string(),
        old: old.unwrap_or_else(|| UNSET.into()),
        new: new.unwrap_or_else(|| UNSET.into()),
    };
    let mut all = Vec::new();
    for (key, value) in new {
        match old.remove(&key) {
            Some(before) if before == value => {}
            before => all.push(changed(key, before, Some(value))),
        }
    }
    all.extend(old.into_iter().map(|(key, value)| changed(key, Some(value), None)));
    all
}

#[cfg(test)]
mod tests {
    use crate::root::Root;
    use crate::settings::{Defaults, Error, Partial, Resolved, resolve_with};
    use tempfile::TempDir;

    fn resolve(place: &TempDir, flags: Partial) -> Result<Resolved, Error> {
        let at = |name: &str| Some(place.path().join(name));
        let defaults = Defaults { home: at("home"), root: at("state"), cache_dir: at("cache"), config: at("none") };
        resolve_with(flags, Partial::default(), None, place.path(), &defaults)
    }

    /// The place of a cluster that was booted with these flags.
    fn booted(flags: Partial) -> TempDir {
        let place = tempfile::tempdir().unwrap();
        let resolved = resolve(&place, flags).unwrap();
        assert_eq!((resolved.changes(), &resolved.saved), (vec![], &None), "there was none before");
        let root = Root::new(&resolved.settings.root, &resolved.settings.name);
        root.create().unwrap();
        crate::settings::save(&root, &resolved.settings).unwrap();
        place
    }

    fn flags(sets: &[&str], cidr: &str) -> Partial {
        Partial { cidr: Some(cidr.parse().unwrap()), ..Partial::default().with_sets(sets).unwrap() }
    }

    fn told(resolved: &Resolved) -> Vec<(String, String, String, bool)> {
        resolved.changes().into_iter().map(|it| (it.key, it.old, it.new, it.of_boot)).collect()
    }

    #[test]
    fn what_differs_is_told_and_what_belongs_to_the_call_is_not() {
        let place = booted(flags(&["cri=x", "kubelet.max-pods=50"], "10.20.0.0/16"));
        let again = flags(&["cri=x", "kubelet.max-pods=50"], "10.20.0.0/16");
        assert_eq!(told(&resolve(&place, again.clone()).unwrap()), []);
        assert_eq!(told(&resolve(&place, Partial::default()).unwrap()), []);
        let of_the_call =
            Partial { boot_timeout_s: Some(7), install: Some(false), cache_dir: Some("/x".into()), ..again };
        assert_eq!(told(&resolve(&place, of_the_call).unwrap()), []);
        let mut other = flags(&["cri=y", "crio.log-level=debug"], "10.20.0.0/16");
        other.port = Some(7001);
        let text = |key: &str, old: &str, new: &str, boot| (key.to_owned(), old.to_owned(), new.to_owned(), boot);
        assert_eq!(
            told(&resolve(&place, other).unwrap()),
            [
                text("port", "first free from 6443", "7001", true),
                text("slots.cri", "x", "y", false),
                text("components.crio.log-level", "default", "debug", false),
            ]
        );
    }

    #[test]
    fn a_fresh_start_binds_to_nothing_and_keeps_what_isnt_said_otherwise() {
        let place = booted(flags(&["kubelet.max-pods=50"], "10.20.0.0/16"));
        let mut other = flags(&[], "10.30.0.0/16");
        assert!(matches!(resolve(&place, other.clone()), Err(Error::Fixed { key: "cidr", .. })));
        other.fresh = true;
        let resolved = resolve(&place, other).unwrap();
        assert_eq!(resolved.settings.cidr.to_string(), "10.30.0.0/16");
        assert_eq!(resolved.settings.components["kubelet"]["max-pods"], "50");
        let plain = Partial { fresh: true, ..Partial::default() };
        assert_eq!(resolve(&place, plain).unwrap().settings.cidr.to_string(), "10.20.0.0/16");
    }
}
