//! Tests contexts of several clusters in one kubeconfig, and `down --all`.

use kubernix_tests::{Cluster, Outcome, Parts, kubernix, run};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// The user's kubeconfig before the test.
const BEFORE: &str = "apiVersion: v1\nclusters:\n# not ours\n- cluster:\n    server: https://192.0.2.1\n  name: prod\ncontexts:\n- context:\n    cluster: prod\n    user: me\n  name: prod\ncurrent-context: prod\nkind: Config\nusers:\n- name: me\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: Never}\n";

/// Runs a command for a cluster with this kubeconfig of the user.
fn with(kubeconfig: &Path, cluster: &Cluster, command: &[&str]) -> Outcome {
    run(cluster.command(command).env("KUBECONFIG", kubeconfig))
}

/// Runs `down --all` with this kubeconfig of the user.
fn down_all(kubeconfig: &Path, base: &Path, more: &[&str]) -> Outcome {
    run(kubernix().args(["down", "--all", "--root"]).arg(base).args(more).env("KUBECONFIG", kubeconfig))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

pub fn contexts_are_merged_and_removed_with_their_clusters(_: Parts) {
    let one = Cluster::new("one");
    let two = one.sibling("two");
    let [file, link] = ["file", "link"].map(|name| one.base().join(name));
    down_all(&link, one.base(), &[]).ok().says(&["no clusters in"]);
    for cluster in [&one, &two] {
        cluster.up(&["--uplink", "none", "--addons", "none"]).ok();
    }

    // A symbolic link and the mode of its file are kept.
    fs::write(&file, BEFORE).expect("a file");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).expect("a mode");
    symlink("file", &link).expect("a link");
    for cluster in [&one, &two, &one] {
        let expected = format!("context `kubernix-{}` is in {} and the current one", cluster.name, link.display());
        with(&link, cluster, &["kubeconfig", "merge"]).ok().prints(&[&expected]);
    }
    assert!(link.is_symlink() && fs::metadata(&file).expect("a file").mode() & 0o777 == 0o640);
    let text = read(&file);
    for line in BEFORE.lines().filter(|line| !line.starts_with("current-context")) {
        assert!(text.contains(&format!("{line}\n")), "`{line}` is gone:\n{text}");
    }
    for cluster in [&one, &two] {
        // Through the other cluster's kubectl: only the file decides.
        let context = format!("kubernix-{}", cluster.name);
        let args = ["get", "--raw", "/readyz", "--context", &context, "--kubeconfig", &link.to_string_lossy()];
        one.kubectl(&args).ok().prints(&["ok"]);
    }
    let path = one.run(&["kubeconfig", "path"]).ok().stdout;
    assert_eq!(Path::new(path.trim_end()), one.root().join("kubeconfig/admin.kubeconfig"));

    // Foreign contexts, and files that aren't kubeconfigs, aren't changed.
    let foreign = one.base().join("foreign");
    let text = format!("users:\n- name: kubernix-{}\n  user: {{token: theirs}}\n", two.name);
    fs::write(&foreign, &text).expect("a file");
    with(&foreign, &two, &["kubeconfig", "merge"])
        .exits(2)
        .says(&["foreign: the user `kubernix-", "doesn't belong to this cluster"]);
    assert_eq!(read(&foreign), text);
    fs::write(&foreign, "contexts:\n  - name: [\n").expect("a file");
    with(&foreign, &two, &["kubeconfig", "merge"]).exits(2).says(&["foreign:2:11: not a kubeconfig"]);

    with(&link, &one, &["kubeconfig", "remove"]).ok();
    let text = read(&file);
    assert!(!text.contains(&one.name) && text.contains(&two.name) && text.contains("current-context: \"\""), "{text}");

    // It destroys running and stopped clusters, finds merged contexts by itself, and continues
    // after a failure.
    with(&link, &one, &["kubeconfig", "merge"]).ok();
    one.run(&["stop"]).ok();
    let busy = one.base().join("busy");
    fs::create_dir(&busy).expect("a directory");
    fs::write(busy.join("state.json"), json!({ "format": 99, "kubernix": "9.9.9", "name": "busy" }).to_string())
        .expect("a file");
    // Another `kubernix` command holds the lock.
    let lock = fs::File::open(&busy).expect("the directory");
    lock.lock().expect("its lock");
    let elsewhere = one.base().join("elsewhere");
    let outcome = down_all(&elsewhere, one.base(), &["--output", "json"]).exits(1);
    let outcome = outcome.says(&["1 of 3 clusters can't be destroyed:", "busy: "]);
    let ends = outcome.json();
    let ended = |name: &str| {
        let end = ends.as_array().expect("a list").iter().find(|end| end["name"] == name);
        end.map(|end| end["state"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ended("busy").as_deref(), Some("failed"));
    assert_eq!([ended(&one.name), ended(&two.name)], [Some("destroyed".to_owned()), Some("destroyed".to_owned())]);
    assert!(!one.root().exists() && !two.root().exists() && busy.exists());
    assert_eq!(read(&file), BEFORE.replace("current-context: prod", "current-context: \"\""));
    assert!(!elsewhere.exists() && !one.base().join("link.lock").exists());

    down_all(&link, one.base(), &["--name", &one.name]).exits(2).says(&["--all or --name, not both"]);
    drop(lock);
    let ended = down_all(&link, one.base(), &["--output", "json"]).ok().json();
    assert_eq!(ended[0]["name"], "busy", "a newer version's goes as well");
    assert_eq!(down_all(&link, one.base(), &["--output", "json"]).ok().json(), json!([]));
}
