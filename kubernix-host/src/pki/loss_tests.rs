//! Missing and damaged keys, with and without data that depends on them, and wrong clocks.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = HOUR.saturating_mul(24);
/// The files of each kind of key.
const KEYS: [(&str, Renewal); 8] = [
    ("encryption.yaml", Renewal::Encryption),
    ("service-account.key", Renewal::ServiceAccount),
    ("ca.key", Renewal::Ca),
    ("ca.crt", Renewal::Ca),
    ("etcd-ca.key", Renewal::Ca),
    ("etcd-ca.crt", Renewal::Ca),
    ("front-proxy-ca.key", Renewal::Ca),
    ("front-proxy-ca.crt", Renewal::Ca),
];
const DAMAGES: [(&str, Option<&str>); 4] =
    [("missing", None), ("empty", Some("")), ("zeroed", Some("\0\0\0\0")), ("garbage", Some("{{ not: [a key"))];

struct Bench {
    dir: TempDir,
    history: History,
    renew: BTreeSet<Renewal>,
    now: SystemTime,
}

impl Bench {
    /// A cluster that was booted, with or without data.
    fn booted(has_data: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self { dir, history: History::default(), renew: BTreeSet::new(), now: SystemTime::now() };
        assert_eq!(bench.ensure().unwrap(), [""; 0], "a new cluster reports nothing");
        bench.history = History { booted: true, has_data, nodes: BTreeSet::from(["node-0".to_owned()]) };
        bench
    }

    fn ensure(&self) -> Result<Vec<String>, String> {
        let request = Request {
            cluster: "test".into(),
            control_plane_ips: vec!["10.10.192.1".parse().unwrap()],
            api_service_ip: "10.10.128.1".parse().unwrap(),
            control_plane_name: "node-0".into(),
            nodes: vec![("node-0".into(), "10.10.192.2".parse().unwrap())],
        };
        let made = ensure_at(self.dir.path(), &request, &self.history, &self.renew, self.now);
        made.map(|pki| pki.reissued).map_err(|error| error.to_string())
    }

    fn damage(&self, name: &str, content: Option<&str>) {
        let path = self.dir.path().join(name);
        match content {
            None => fs::remove_file(path).unwrap(),
            Some(content) => fs::write(path, content).unwrap(),
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// All files at the top, by name.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.path().is_file());
        files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
    }
}

/// Calls `check` for each key and each kind of damage, with a cluster that was booted.
fn for_each_loss(has_data: bool, check: impl Fn(Bench, &str, Renewal, &str)) {
    for (name, renewal) in KEYS {
        for (damage, content) in DAMAGES {
            let bench = Bench::booted(has_data);
            bench.damage(name, content);
            check(bench, name, renewal, damage);
        }
    }
}

#[test]
fn a_lost_key_of_a_cluster_with_data_is_an_error_that_changes_nothing() {
    for_each_loss(true, |bench, name, renewal, damage| {
        // A certificate that needs replacement isn't replaced either.
        bench.damage("admin.crt", None);
        let before = bench.files();
        let error = bench.ensure().unwrap_err();
        let case = format!("{name} {damage}: {error}");
        assert!(error.contains(&format!("{name}`")), "{case}");
        assert!(error.contains(&format!("`up --renew {renewal}`")), "{case}");
        assert!(error.contains(renewal.loss()), "{case}");
        match damage {
            "missing" => assert!(error.contains("missing"), "{case}"),
            "empty" | "zeroed" => assert!(error.contains("is an empty file"), "{case}"),
            _ => {}
        }
        assert!(!error.contains('\n'), "{case}");
        assert_eq!(bench.files(), before, "{case}");
    });
}

#[test]
fn a_lost_key_of_a_cluster_without_data_is_replaced_and_reported() {
    for_each_loss(false, |bench, name, renewal, damage| {
        let case = format!("{name} {damage}");
        if renewal == Renewal::Encryption && damage != "missing" {
            // The user may have written it for the first boot.
            assert!(bench.ensure().unwrap_err().contains("--renew encryption"), "{case}");
            return;
        }
        let title = name.split('.').next().unwrap();
        let reports = bench.ensure().unwrap();
        assert!(reports.iter().any(|line| line.starts_with(&format!("{title}: "))), "{case}: {reports:?}");
        assert_eq!(bench.ensure().unwrap(), [""; 0], "{case}");
    });
}

#[test]
fn a_lost_key_is_replaced_on_demand() {
    for_each_loss(true, |mut bench, name, renewal, damage| {
        // Another kind doesn't help.
        let other = if renewal == Renewal::Ca { Renewal::ServiceAccount } else { Renewal::Ca };
        bench.renew = BTreeSet::from([other]);
        let error = bench.ensure().unwrap_err();
        assert!(error.contains(&format!("--renew {renewal}")), "{name} {damage}: {error}");
        bench.renew = BTreeSet::from([renewal]);
        let reports = bench.ensure().unwrap();
        let asked = format!("`--renew {renewal}` was given");
        assert!(reports.iter().any(|line| line.contains(&asked)), "{name} {damage}: {reports:?}");
        bench.renew.clear();
        assert_eq!(bench.ensure().unwrap(), [""; 0], "{name} {damage}");
    });
}

#[test]
fn an_error_is_returned_instead_of_a_report() {
    let bench = Bench::booted(true);
    fs::remove_dir_all(bench.dir.path().join("nodes")).unwrap();
    for name in bench.files().keys() {
        bench.damage(name, None);
    }
    assert!(bench.ensure().unwrap_err().contains("encryption.yaml"));
    assert_eq!(bench.files(), BTreeMap::new());
}

#[test]
fn every_missing_certificate_of_an_old_cluster_is_reported() {
    let mut bench = Bench::booted(true);
    for name in ["admin.crt", "admin.key", "nodes/node-0/kubelet.crt", "nodes/node-0/kubelet.key"] {
        bench.damage(name, None);
    }
    assert_eq!(bench.ensure().unwrap(), ["admin: it is missing", "kubelet (node node-0): it is missing"]);
    // The first certificates of a new node aren't reported.
    bench.history.nodes.clear();
    for name in ["nodes/node-0/kubelet.crt", "nodes/node-0/kubelet.key"] {
        bench.damage(name, None);
    }
    assert_eq!(bench.ensure().unwrap(), [""; 0]);
}

#[test]
fn usable_keys_are_renewed_on_demand() {
    let mut bench = Bench::booted(true);
    let before = bench.files();
    bench.renew = BTreeSet::from([Renewal::ServiceAccount]);
    assert_eq!(bench.ensure().unwrap(), ["service-account: `--renew service-account` was given"]);
    let changed = |before: &BTreeMap<String, Vec<u8>>| {
        let after = bench.files();
        after.into_iter().filter(|(name, text)| before[name] != *text).map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(changed(&before), ["service-account.key", "service-account.pub"]);
    let before = bench.files();
    bench.renew = BTreeSet::from([Renewal::Ca]);
    let reports = bench.ensure().unwrap();
    assert_eq!(reports.len(), 3 + 9 + 2, "three CAs and all certificates that they signed: {reports:?}");
    let after = bench.files();
    let kept: Vec<_> = before.iter().filter(|(name, text)| after[*name] == **text).map(|(name, _)| &**name).collect();
    assert_eq!(kept, ["encryption.yaml", "service-account.key", "service-account.pub"]);
}

#[test]
fn a_new_encryption_key_keeps_the_old_ones_for_decryption() {
    let mut bench = Bench::booted(true);
    let old = bench.read("encryption.yaml");
    let secret = |text: &str| text.lines().find(|line| line.contains("secret: ")).unwrap().to_owned();
    bench.renew = BTreeSet::from([Renewal::Encryption]);
    let reports = bench.ensure().unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].starts_with("encryption: ") && reports[0].contains("older keys still decrypt"), "{reports:?}");
    let new = bench.read("encryption.yaml");
    let at = |text: &str| new.find(text).unwrap_or_else(|| panic!("{text}: {new}"));
    assert!(at("name: key-2") < at("name: key-1"), "the first one encrypts");
    assert!(at("name: key-1") < at(&secret(&old)) && secret(&new) != secret(&old));
    bench.ensure().unwrap();
    assert!(bench.read("encryption.yaml").contains("name: key-3"));
    // An edited file may have content that a new key would remove.
    let edited = bench.read("encryption.yaml").replace("- secrets", "- secrets\n      - configmaps");
    bench.damage("encryption.yaml", Some(&edited));
    let error = bench.ensure().unwrap_err();
    assert!(error.contains("encryption.yaml` was edited"), "{error}");
    assert_eq!(bench.read("encryption.yaml"), edited);
    bench.renew.clear();
    assert_eq!(bench.ensure().unwrap(), [""; 0]);
}

#[test]
fn a_clock_that_is_behind_is_reported_and_invalidates_nothing() {
    for has_data in [true, false] {
        for behind in [2 * HOUR, 3 * DAY, 50 * 365 * DAY] {
            let mut bench = Bench::booted(has_data);
            let (before, now) = (bench.files(), bench.now);
            bench.now = now - behind;
            let error = bench.ensure().unwrap_err();
            assert!(error.starts_with("the clock of this host is behind: it is "), "{error}");
            assert!(error.contains("ca.crt` is not valid before 20") && error.contains("Set the clock"), "{error}");
            assert_eq!(bench.files(), before);
            bench.now = now;
            assert_eq!(bench.ensure().unwrap(), [""; 0], "the clock was set");
            assert_eq!(bench.files(), before);
        }
    }
}

#[test]
fn certificates_of_a_clock_that_was_ahead_can_be_replaced() {
    let mut bench = Bench::booted(true);
    // A certificate was created while the clock was ahead.
    let now = bench.now;
    bench.now = now + 40 * DAY;
    bench.damage("admin.crt", None);
    assert_eq!(bench.ensure().unwrap(), ["admin: the certificate is missing"]);
    bench.now = now;
    let error = bench.ensure().unwrap_err();
    assert!(
        error.contains("admin.crt` is not valid before") && error.contains("remove it, and `up` creates"),
        "{error}"
    );
    bench.damage("admin.crt", None);
    bench.ensure().unwrap();
    // The CAs as well.
    bench.now = now - 2 * HOUR;
    bench.renew = BTreeSet::from([Renewal::Ca]);
    assert_eq!(bench.ensure().unwrap().len(), 3 + 9 + 2);
    bench.renew.clear();
    assert_eq!(bench.ensure().unwrap(), [""; 0]);
}

#[test]
fn an_expired_ca_is_replaced_on_demand_and_an_expiring_one_at_once() {
    let mut bench = Bench::booted(true);
    let now = bench.now;
    bench.now = now + 3640 * DAY;
    let reports = bench.ensure().unwrap();
    assert!(reports[0].starts_with("ca: it is valid until 20"), "{reports:?}");
    assert_eq!(reports.len(), 3 + 9 + 2);
    let mut bench = Bench::booted(true);
    bench.now = now + 3651 * DAY;
    let before = bench.files();
    let error = bench.ensure().unwrap_err();
    assert!(error.contains("ca.crt` can't be used: it was valid until 20") && error.contains("--renew ca"), "{error}");
    assert_eq!(bench.files(), before);
    bench.renew = BTreeSet::from([Renewal::Ca]);
    bench.ensure().unwrap();
}

#[test]
fn renewals_are_parsed() {
    for word in ["encryption", "service-account", "ca"] {
        assert_eq!(word.parse::<Renewal>().unwrap().to_string(), word);
    }
    assert!("tokens".parse::<Renewal>().unwrap_err().to_string().contains("none of `encryption`"));
}

#[test]
fn a_new_ca_is_marked_until_pods_have_it() {
    let mut bench = Bench::booted(true);
    let is_marked = |bench: &Bench| unpublished(bench.dir.path()).exists();
    bench.renew = BTreeSet::from([Renewal::Encryption, Renewal::ServiceAccount]);
    bench.ensure().unwrap();
    assert!(!is_marked(&bench), "pods of a new cluster have no older CA, and other keys don't matter");
    bench.renew = BTreeSet::from([Renewal::Ca]);
    bench.ensure().unwrap();
    assert!(is_marked(&bench));
    bench.renew = BTreeSet::new();
    bench.ensure().unwrap();
    assert!(is_marked(&bench), "the marker stays until the CA is published");
}
