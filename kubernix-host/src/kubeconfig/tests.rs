//! Merges into and removals from kubeconfigs as users have them: all other entries stay the same.

use super::*;
use crate::root_dir::Root;
use std::env;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// As kubectl writes it.
const KUBECTL: &str = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: XX\n    server: https://192.0.2.1\n  name: prod\ncontexts:\n- context:\n    cluster: prod\n    namespace: mine\n    user: me\n  name: prod\ncurrent-context: prod\nkind: Config\npreferences: {}\nusers:\n- name: me\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: login\n      interactiveMode: Never\n";
/// As a user may have written it by hand.
const BY_HAND: &str = "# mine, and not to be lost\napiVersion: v1\nkind: Config\nclusters:\n  # the first\n  - name: prod # here\n    cluster: &prod\n      server: https://192.0.2.1\n      extensions:\n        - {name: x, extension: {deep: [1, 2.50, yes]}}\n\n  - name: \"two\"\n    cluster: *prod\n\nusers: []\ncontexts: null\nmy-own-key: 'kept'\n# the end\n";

/// Clusters below one base directory, and a user's kubeconfigs.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap() };
        bench.boot("one", 6443, "ca-1");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn root(&self, cluster: &str) -> Root {
        Root::new(self.path("clusters"), cluster)
    }

    /// Writes the kubeconfig that a boot would write.
    fn boot(&self, cluster: &str, port: u16, ca: &str) {
        let root = self.root(cluster);
        fs::create_dir_all(root.kubeconfigs()).unwrap();
        let name = format!("kubernix-{cluster}");
        let text = format!(
            "clusters: [{{name: {name}, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority-data: {ca}}}}}]\nusers: [{{name: {name}, user: {{client-certificate-data: cert-of-{ca}, client-key-data: key}}}}]\ncontexts: [{{name: {name}, context: {{cluster: {name}, user: {name}}}}}]\ncurrent-context: {name}\n"
        );
        fs::write(root.kubeconfig("admin"), text).unwrap();
    }

    fn access(&self, cluster: &str) -> Access {
        Access::of(&self.root(cluster)).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn paths(&self, names: &[&str]) -> ConfigPaths {
        let list = env::join_paths(names.iter().map(|name| self.path(name))).unwrap();
        ConfigPaths::of(Some(&list), None).unwrap()
    }

    fn merge(&self, cluster: &str, names: &[&str]) -> Result<Merged, Error> {
        merge(&self.access(cluster), &self.paths(names))
    }

    fn remove(&self, cluster: &str, names: &[&str]) -> Vec<PathBuf> {
        remove(&self.access(cluster), &self.paths(names)).unwrap()
    }

    /// The file's content by kube-rs, a parser that the code under test doesn't use.
    fn seen(&self, name: &str) -> kube::config::Kubeconfig {
        kube::config::Kubeconfig::from_yaml(&self.read(name)).unwrap()
    }

    fn rejected(&self, text: &str) -> String {
        self.write("config", text);
        let error = self.merge("one", &["config"]).unwrap_err().to_string();
        assert_eq!(self.read("config"), text, "nothing is written");
        assert!(!self.path("config.lock").exists());
        error
    }
}

/// The lines that only `after` has, in order; and whether `after` has all lines of `before`, in
/// order.
fn new_lines(before: &str, after: &str) -> (Vec<String>, bool) {
    let mut old = before.lines().peekable();
    let mut new = Vec::new();
    for line in after.lines() {
        if old.peek() == Some(&line) {
            old.next();
        } else {
            new.push(line.to_owned());
        }
    }
    (new, old.next().is_none())
}

#[test]
fn a_new_file_has_the_clusters_entries_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let merged = bench.merge("one", &["home/.kube/config"]).unwrap();
    assert_eq!((merged.context.as_str(), merged.changed, merged.before), ("kubernix-one", true, None));
    assert_eq!(merged.file, bench.path("home/.kube/config"));
    assert_eq!(fs::metadata(&merged.file).unwrap().permissions().mode() & 0o777, 0o600);
    let seen = bench.seen("home/.kube/config");
    assert_eq!(seen.current_context.as_deref(), Some("kubernix-one"));
    let cluster = seen.clusters[0].cluster.clone().unwrap();
    assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
    assert_eq!(cluster.certificate_authority_data.as_deref(), Some("ca-1"));
    assert_eq!(seen.contexts[0].context.clone().unwrap().user.as_deref(), Some("kubernix-one"));
    assert_eq!(seen.auth_infos[0].auth_info.clone().unwrap().client_certificate_data.as_deref(), Some("cert-of-ca-1"));
}

#[test]
fn other_entries_and_comments_stay_the_same() {
    let bench = Bench::new();
    for (what, text) in [("kubectl", KUBECTL), ("by hand", BY_HAND)] {
        bench.write("config", text);
        let merged = bench.merge("one", &["config"]).unwrap();
        let with = bench.read("config");
        let replaced =
            |line: &str| line.starts_with("current-context:") || line == "users: []" || line.starts_with("contexts:");
        let kept: String = text.lines().filter(|line| !replaced(line)).map(|line| format!("{line}\n")).collect();
        let (_, all_kept) = new_lines(&kept, &with);
        assert!(all_kept, "{what}:\n{with}");
        assert_eq!(merged.before.as_deref(), (what == "kubectl").then_some("prod"));
        assert_eq!(bench.seen("config").current_context.as_deref(), Some("kubernix-one"));

        // A second merge doesn't write the file.
        let written = fs::metadata(bench.path("config")).unwrap().modified().unwrap();
        assert!(!bench.merge("one", &["config"]).unwrap().changed);
        assert_eq!(fs::metadata(bench.path("config")).unwrap().modified().unwrap(), written);

        assert_eq!(bench.remove("one", &["config"]), [bench.path("config")]);
        let without = bench.read("config");
        let (new, all_kept) = new_lines(&kept, &without);
        assert!(all_kept, "{what}:\n{without}");
        assert!(new.iter().all(|line| replaced(line)), "{what}: {new:?}");
        assert!(bench.remove("one", &["config"]).is_empty());
        assert_eq!(bench.read("config"), without);
    }
}

#[test]
fn a_file_in_json_remains_json() {
    let bench = Bench::new();
    let text = "{\n  \"kind\": \"Config\",\n  \"clusters\": [{\"name\": \"prod\", \"cluster\": {\"server\": \"x\"}}],\n  \"contexts\": []\n}\n";
    bench.write("config", text);
    bench.merge("one", &["config"]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&bench.read("config")).unwrap();
    assert_eq!(json["clusters"][1]["cluster"]["server"], "https://127.0.0.1:6443");
    assert_eq!((&json["clusters"][0]["name"], &json["current-context"]), (&"prod".into(), &"kubernix-one".into()));
    bench.boot("one", 7000, "ca-1");
    refresh(&bench.access("one"), &bench.paths(&["config"])).unwrap();
    let json: serde_json::Value = serde_json::from_str(&bench.read("config")).unwrap();
    assert_eq!(json["clusters"][1]["cluster"]["server"], "https://127.0.0.1:7000");
    bench.remove("one", &["config"]);
    let json: serde_json::Value = serde_json::from_str(&bench.read("config")).unwrap();
    assert_eq!((json["clusters"].as_array().unwrap().len(), &json["current-context"]), (1, &"".into()));
}

#[test]
fn several_clusters_are_merged_and_removed_independently() {
    let bench = Bench::new();
    bench.boot("two", 6444, "ca-2");
    bench.write("config", KUBECTL);
    bench.merge("one", &["config"]).unwrap();
    assert_eq!(bench.merge("two", &["config"]).unwrap().before.as_deref(), Some("kubernix-one"));
    let names = |bench: &Bench| bench.seen("config").contexts.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&bench), ["prod", "kubernix-one", "kubernix-two"]);
    bench.remove("one", &["config"]);
    assert_eq!(names(&bench), ["prod", "kubernix-two"]);
    assert_eq!(bench.seen("config").current_context.as_deref(), Some("kubernix-two"), "it wasn't ours");
    bench.remove("two", &["config"]);
    assert_eq!((names(&bench), bench.seen("config").current_context.as_deref()), (vec!["prod".to_owned()], Some("")));
}

#[test]
fn with_several_files_the_same_one_is_changed_as_by_kubectl() {
    let bench = Bench::new();
    bench.write("first", KUBECTL);
    bench.write("second", "");
    assert_eq!(bench.merge("one", &["none", "first", "second"]).unwrap().file, bench.path("first"));
    bench.remove("one", &["first"]);
    // An entry is changed in its file, although another file comes first.
    bench.merge("one", &["second"]).unwrap();
    let before = bench.read("first");
    bench.boot("one", 7000, "ca-1");
    assert_eq!(bench.merge("one", &["first", "second"]).unwrap().file, bench.path("second"));
    assert!(bench.read("second").contains("https://127.0.0.1:7000"));
    assert_eq!(bench.read("first"), before);
    // A current context in an earlier file would take precedence, so it is replaced.
    bench.write("first", &before.replace("current-context: \"\"", "current-context: prod"));
    bench.merge("one", &["first", "second"]).unwrap();
    assert_eq!(bench.read("first"), before.replace("current-context: \"\"", "current-context: kubernix-one"));
    // A removal searches all files.
    assert_eq!(bench.remove("one", &["second", "first"]).len(), 2);
    assert_eq!(bench.read("first"), before);
    assert!(!bench.read("second").contains("kubernix-one"));
}

#[test]
fn files_of_earlier_merges_are_found_without_being_named() {
    let bench = Bench::new();
    bench.write("other", "");
    bench.merge("one", &["elsewhere/config"]).unwrap();
    bench.boot("one", 7000, "ca-1");
    let changed = refresh(&bench.access("one"), &bench.paths(&["other"])).unwrap();
    assert_eq!(changed, [bench.path("elsewhere/config")]);
    assert!(bench.read("elsewhere/config").contains("server: https://127.0.0.1:7000"));
    assert!(refresh(&bench.access("one"), &bench.paths(&["other"])).unwrap().is_empty());
    assert_eq!(bench.remove("one", &["other"]), [bench.path("elsewhere/config")]);
    // A file that was deleted meanwhile is no error.
    bench.merge("one", &["elsewhere/config"]).unwrap();
    fs::remove_dir_all(bench.path("elsewhere")).unwrap();
    assert!(bench.remove("one", &["other"]).is_empty());
}

#[test]
fn entries_are_recognized_by_present_and_earlier_certificates() {
    let bench = Bench::new();
    bench.write("config", KUBECTL);
    bench.merge("one", &["config"]).unwrap();
    let text = bench.read("config");
    let extended = text
        .replace("    server:", "    proxy-url: http://proxy\n    server:")
        .replace("    user: kubernix-one", "    namespace: mine\n    user: kubernix-one");
    bench.write("config", &extended);
    bench.boot("one", 6443, "ca-new");
    refresh(&bench.access("one"), &bench.paths(&["config"])).unwrap();
    let text = bench.read("config");
    assert!(text.contains("cert-of-ca-new") && !text.contains("ca-1"), "{text}");
    assert!(
        text.contains("proxy-url: http://proxy") && text.contains("namespace: mine"),
        "fields that the user added stay:\n{text}"
    );
    // Another cluster of this name has other certificates.
    let other = Bench::new();
    other.boot("one", 6443, "ca-other");
    other.write("config", &text);
    let error = other.merge("one", &["config"]).unwrap_err().to_string();
    assert!(error.contains("the cluster `kubernix-one` doesn't belong to this cluster"), "{error}");
    assert!(error.contains("`kubectl config delete-cluster kubernix-one`"), "{error}");
    assert!(other.remove("one", &["config"]).is_empty());
    assert!(refresh(&other.access("one"), &other.paths(&["config"])).unwrap().is_empty());
    assert_eq!(other.read("config"), text);
}

#[test]
fn clusters_with_the_same_certificates_are_told_apart_by_record_and_server() {
    // As restored from a snapshot under the same name in another directory.
    let bench = Bench::new();
    bench.merge("one", &["config"]).unwrap();
    let with = bench.read("config");
    fs::create_dir(bench.path("copies")).unwrap();
    let copy = Root::new(bench.path("copies"), "one");
    fs::create_dir_all(copy.kubeconfigs()).unwrap();
    let own = fs::read_to_string(bench.root("one").kubeconfig("admin")).unwrap();
    fs::write(copy.kubeconfig("admin"), own.replace(":6443", ":6444")).unwrap();
    let (access, paths) = (Access::of(&copy).unwrap(), bench.paths(&["config"]));
    assert!(matches!(merge(&access, &paths), Err(Error::Foreign { kind: "cluster", .. })));
    assert!(refresh(&access, &paths).unwrap().is_empty() && remove(&access, &paths).unwrap().is_empty());
    assert_eq!(bench.read("config"), with);
    // Without a record, the server's address decides.
    fs::remove_file(bench.root("one").kubeconfigs().join("merged.json")).unwrap();
    assert_eq!(bench.remove("one", &["config"]).len(), 1);
}

#[test]
fn entries_are_updated_after_the_root_directory_was_emptied() {
    let bench = Bench::new();
    bench.merge("one", &["config"]).unwrap();
    let before = bench.access("one");
    fs::remove_dir_all(bench.root("one").path()).unwrap();
    before.carry_over().unwrap();
    bench.boot("one", 6443, "ca-fresh");
    assert_eq!(refresh(&bench.access("one"), &bench.paths(&["other"])).unwrap(), [bench.path("config")]);
    assert!(bench.read("config").contains("cert-of-ca-fresh"));
    assert!(!bench.merge("one", &["config"]).unwrap().changed);
    bench.access("none").carry_over().unwrap();
    assert!(!bench.root("none").path().exists(), "nothing was merged");
}

#[test]
fn foreign_entries_with_the_clusters_name_are_not_changed() {
    let bench = Bench::new();
    let user = "users:\n- name: kubernix-one\n  user:\n    token: theirs\n";
    assert!(bench.rejected(user).contains("the user `kubernix-one` doesn't belong to this cluster"));
    let context = "contexts:\n- name: kubernix-one\n  context:\n    cluster: prod\n    user: me\n";
    assert!(bench.rejected(context).contains("the context `kubernix-one` doesn't belong to this cluster"));
    // A context of our cluster and user is ours, even if their entries are missing.
    let dangling = "contexts:\n- name: kubernix-one\n  context:\n    cluster: kubernix-one\n    user: kubernix-one\n";
    bench.write("config", dangling);
    bench.merge("one", &["config"]).unwrap();
    // A foreign user of our name that was added later keeps its context.
    let text = bench.read("config").replace("client-certificate-data: cert-of-ca-1", "token: theirs");
    bench.write("config", &text);
    bench.remove("one", &["config"]);
    let seen = bench.seen("config");
    assert_eq!((seen.clusters.len(), seen.contexts.len(), seen.auth_infos.len()), (0, 1, 1));
    assert_eq!(seen.current_context.as_deref(), Some("kubernix-one"));
}

#[test]
fn malformed_kubeconfigs_are_rejected_with_line_and_column() {
    let bench = Bench::new();
    let config = bench.path("config");
    let error = bench.rejected("apiVersion: v1\nclusters:\n- name: a\n  cluster: [\n");
    assert!(error.starts_with(&format!("{}:4:12: not a kubeconfig: ", config.display())), "{error}");
    let error = bench.rejected("clusters: nonsense\n");
    assert!(error.starts_with(&format!("{}:1:11: ", config.display())), "{error}");
    bench.rejected("kind: Config\n---\nkind: Config\n");
    // Without the cluster's name in it, a malformed file doesn't make `down` fail.
    bench.write("config", "clusters: [\n");
    assert!(bench.remove("one", &["config"]).is_empty());
    assert!(Access::of(&bench.root("none")).unwrap().credentials().is_err());
    let error = bench.merge("none", &["other"]).unwrap_err().to_string();
    assert!(error.ends_with("this cluster has no kubeconfig yet: it was never booted"), "{error}");
}

#[test]
fn other_layouts_can_be_edited() {
    let bench = Bench::new();
    for text in [
        "---\nkind: Config\nclusters: []\n",
        "# only words",
        "kind: Config\r\nclusters:\r\n- name: a\r\n  cluster:\r\n    server: x\r\n",
        "kind: Config\nclusters:\n- name: a\n  cluster:\n    server: x",
        "clusters:\n    -   name: a\n        cluster:\n            server: x\n    # last\n",
        "clusters: [{name: a, cluster: {server: x}}] # flow\nusers: [\n  {name: b},\n]\n",
        "kind: Config\nusers:\n- name: a\n  user:\n    token: |\n      many\n      lines\n",
        "kind: Config\nclusters:\n\n\nusers:\n\n",
    ] {
        bench.write("config", text);
        bench.merge("one", &["config"]).unwrap();
        let with = bench.seen("config");
        assert!(with.clusters.iter().any(|cluster| cluster.name == "kubernix-one"), "{text}");
        for comment in text.lines().filter(|line| line.trim_start().starts_with('#')) {
            assert!(bench.read("config").contains(comment), "{}", bench.read("config"));
        }
        bench.remove("one", &["config"]);
        let without = bench.seen("config");
        assert!(without.clusters.iter().all(|cluster| cluster.name == "a"), "{}", bench.read("config"));
        assert_eq!(without.auth_infos.len(), with.auth_infos.len() - 1, "{text}");
    }
}

#[test]
fn concurrent_merges_keep_all_entries() {
    let bench = Bench::new();
    bench.boot("two", 6444, "ca-2");
    bench.write("config", KUBECTL);
    std::thread::scope(|scope| {
        for cluster in ["one", "two", "one", "two"] {
            let bench = &bench;
            scope.spawn(move || bench.merge(cluster, &["config"]).unwrap());
        }
    });
    assert_eq!(bench.seen("config").clusters.len(), 3);
    assert!(!bench.path("config.lock").exists());
}

#[test]
fn renamed_entries_keep_fields_that_the_user_added() {
    let bench = Bench::new();
    bench.write("config", KUBECTL);
    bench.merge("one", &["config"]).unwrap();
    let own = "contexts:\n- context:\n    cluster: kubernix-one\n    namespace: web\n    user: kubernix-one\n  name: mine\n- ";
    let text = bench.read("config").replacen("contexts:\n- ", own, 1);
    let text = text.replace(
        "    user: kubernix-one\n  name: kubernix-one",
        "    namespace: kept\n    user: kubernix-one\n  name: kubernix-one",
    );
    bench.write("config", &text);
    let paths = bench.paths(&["config"]);
    begin_rename(&bench.access("one"), "new", &paths).unwrap();
    assert_eq!(bench.read("config"), text, "nothing is changed before the cluster has the name");
    fs::rename(bench.root("one").path(), bench.root("new").path()).unwrap();
    assert_eq!(finish_rename(&bench.access("new"), &paths).unwrap(), [bench.path("config")]);
    assert_eq!(bench.read("config"), text.replace("kubernix-one", "kubernix-new"));
    assert!(finish_rename(&bench.access("new"), &paths).unwrap().is_empty());
    assert_eq!(bench.remove("new", &["config"]), [bench.path("config")]);
}

#[test]
fn a_rename_that_was_interrupted_before_the_cluster_had_the_name_changes_nothing() {
    let bench = Bench::new();
    bench.merge("one", &["config"]).unwrap();
    let (text, paths) = (bench.read("config"), bench.paths(&["config"]));
    begin_rename(&bench.access("one"), "new", &paths).unwrap();
    assert!(finish_rename(&bench.access("one"), &paths).unwrap().is_empty());
    assert_eq!(bench.read("config"), text);
    assert_eq!(bench.access("one").earlier_name(), None);
}

#[test]
fn a_new_name_of_foreign_entries_is_rejected_before_anything_changes() {
    let bench = Bench::new();
    bench.merge("one", &["config"]).unwrap();
    let theirs = "users:\n- name: kubernix-new\n  user:\n    token: theirs\n";
    bench.write("other", theirs);
    let paths = bench.paths(&["config", "other"]);
    let error = begin_rename(&bench.access("one"), "new", &paths).unwrap_err().to_string();
    assert!(error.contains("the user `kubernix-new` doesn't belong to this cluster"), "{error}");
    assert_eq!(bench.access("one").earlier_name(), None);
    // A cluster that was never merged has no entries to rename.
    bench.boot("two", 6444, "ca-2");
    begin_rename(&bench.access("two"), "new", &paths).unwrap();
}
