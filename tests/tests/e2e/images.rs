//! Tests images without a registry: they are loaded where they are missing, built from a program,
//! removed, and rejected.

use kubernix_host::images::ImageBuilder;
use kubernix_tests::{
    Base, Cluster, IMAGE, Parts, SHARED, Test, alive, busybox, checks, each, kubernix, oci_archive, pod, program, run,
    until,
};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    let of_runtimes = checks![images_are_loaded_where_missing_and_removed, a_full_disk_does_not_damage_the_image_store];
    each(SHARED, &Parts::runtimes(), &of_runtimes)
}

/// The names of a node's images.
fn names(images: &Value) -> Vec<String> {
    let images = images[0]["images"].as_array().into_iter().flatten();
    let mut names: Vec<String> = images
        .flat_map(|image| image["names"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(String::from))
        .filter(|name| !name.contains('@'))
        .collect();
    names.sort();
    names
}

fn images_are_loaded_where_missing_and_removed(parts: Parts) {
    let cluster = Cluster::new("images");
    cluster.up(&[&["--addons", "none"][..], &parts.settings()].concat()).ok();
    let before = names(&cluster.json(&["image", "list"]));
    let archive = oci_archive(cluster.base());
    let path = archive.to_string_lossy().into_owned();
    let loaded = cluster.json(&["image", "load", &path]);
    assert_eq!((&loaded[0]["name"], &loaded[0]["nodes"]), (&json!(IMAGE), &json!(["node-0"])));
    let again = cluster.json(&["image", "load", &path]);
    assert_eq!((&again[0]["id"], &again[0]["nodes"]), (&loaded[0]["id"], &json!([])), "nothing is copied twice");

    // Another image under the same name replaces it. It may be a layout in a directory.
    let layout = cluster.base().join("layout");
    fs::create_dir(&layout).expect("a directory");
    ImageBuilder::new(IMAGE).copy("/bin/sh", busybox(), 0o755).write_layout(&layout).expect("a layout");
    let layout = layout.to_string_lossy().into_owned();
    let other = cluster.json(&["image", "load", &layout]);
    assert_ne!(other[0]["id"], loaded[0]["id"]);
    assert_eq!(other[0]["nodes"], json!(["node-0"]));
    assert_eq!(cluster.json(&["image", "load", &path])[0]["nodes"], json!(["node-0"]), "and back");

    let built =
        ["image", "build-from", &busybox().to_string_lossy(), "--name", "example.org/box:1", "--", "sleep", "60"]
            .map(String::from);
    let mut command = kubernix();
    command.arg("--name").arg(&cluster.name).arg("--root").arg(cluster.base()).args(built);
    run(&mut command).ok().prints(&["loaded example.org/box:1 on node-0"]);
    let container = json!({ "name": "main", "image": "example.org/box:1", "imagePullPolicy": "Never" });
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "box" },
        "spec": { "containers": [container], "terminationGracePeriodSeconds": 0 },
    }));
    cluster.ready_pod("box");

    let refused = cluster.run(&["image", "remove", "example.org/box:1"]).exits(1);
    refused.says(&["example.org/box:1", "container `main` uses it"]);
    cluster.kubectl(&["delete", "pod", "box", "--now"]).ok();
    // The API forgets a pod before the kubelet has removed its container from the runtime.
    until("end of the container", Duration::from_secs(60), || {
        let removed = cluster.run(&["image", "remove", "example.org/box:1"]);
        if removed.code == 0 { Ok(()) } else { Err(removed.stderr) }
    });
    cluster.run(&["image", "remove", IMAGE]).ok();
    assert_eq!(names(&cluster.json(&["image", "list"])), before);
    cluster.run(&["image", "remove", IMAGE]).exits(2).says(&["no node", IMAGE]);

    // A removed image can be loaded again, and runs.
    cluster.run(&["image", "load", &path]).ok();
    cluster.apply(&pod("main", "sleep 3600", &json!({})));
    alive(&cluster, "main");
}

/// An archive of 60 MB of incompressible data.
fn large_archive(directory: &Path) -> PathBuf {
    let mut bytes = vec![0; 60_000_000];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in bytes.chunks_mut(8) {
        // xorshift64, https://www.jstatsoft.org/v08/i14
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    let path = directory.join("large.tar");
    ImageBuilder::new("example.org/large:1").file("/data", bytes, 0o644).write_archive(&path).expect("an archive");
    path
}

/// A script that runs on its own file system: $1 is kubernix with its first arguments, `$@` are
/// those of `up`.
const FILL: &str = r#"
mount -t tmpfs -o size=800m tmpfs "$BASE" || exit 99
kubernix() { "$KUBERNIX" --name "$NAME" --root "$BASE" "$@"; }
trap 'kubernix down >/dev/null 2>&1' EXIT
kubernix up --addons none "$@" >/dev/null || exit 98
kubernix --output json image list > "$OUT/before.json"
left=$(df --output=avail -k "$BASE" | tail -1)
head -c $(( (left - 30000) * 1024 )) /dev/zero > "$BASE/filler" || exit 97
kubernix image load "$OUT/large.tar" 2> "$OUT/refused"
echo "refused with $?"
kubernix --output json image list > "$OUT/after.json"
rm "$BASE/filler"
kubernix image load "$OUT/large.tar" || exit 96
kubernix --output json image list > "$OUT/loaded.json"
"#;

fn a_full_disk_does_not_damage_the_image_store(parts: Parts) {
    let (cluster, out) = (Cluster::new("full"), Base::new());
    large_archive(out.path());
    let up = cluster.command(&[]);
    let mut shell = program("unshare");
    shell.args(["--mount", "/bin/bash", "-c", FILL, "bash"]).args(parts.settings());
    shell.env("BASE", cluster.base()).env("OUT", out.path()).env("NAME", &cluster.name);
    let outcome = run(shell.env("KUBERNIX", up.get_program())).ok();
    let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap_or_default();
    assert!(outcome.stdout.contains("refused with 1"), "{outcome:?}\n{}", read("refused"));
    let refused = read("refused");
    assert!(refused.contains("example.org/large:1") && refused.contains("no space left on device"), "{refused}");
    assert_eq!(read("after.json"), read("before.json"), "the store is as it was");
    assert!(read("loaded.json").contains("example.org/large:1"), "and has it once there is space");
}
