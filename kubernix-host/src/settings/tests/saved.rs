//! The settings of the last boot.

use super::*;

#[test]
fn a_note_names_each_value_that_replaces_a_saved_one() {
    let fixture = Fixture::new();
    fixture.boot(Partial { port: Some(7000), ..sets(&["cri=containerd", "crio.log-level=debug"]) });
    let flags = Partial { port: Some(7001), ..sets(&["cri=crio", "crio.log-level=debug"]) };
    let here = fixture.directory.path().display().to_string();
    let notes = fixture.resolve(flags, &[]).unwrap().notes.join("\n").replace(&here, "");
    assert_eq!(
        notes,
        "port: `7001` (--port) replaces `7000` of /state/kubernix/kubernix.toml (saved)\n\
         slots.cri: `crio` (--set cri) replaces `containerd` of /state/kubernix/kubernix.toml (saved)"
    );
}

#[test]
fn saved_settings_are_read_again_and_edits_count() {
    let fixture = Fixture::new();
    let flags = Partial {
        name: Some("two".into()),
        cidr: cidr("10.99.0.0/20"),
        port: Some(7000),
        publish: Some(vec!["8080:30080".parse().unwrap(), "[::1]:53:30053/udp".parse().unwrap()]),
        merge_kubeconfig: Some(true),
        addons: Some(Vec::new()),
        addon_files: Some(vec!["/a b/c".into()]),
        ..sets(&["cri=containerd", "crio.binary=/opt/my crio", "etcd.flags=a \"b\"\n=c"])
    };
    let first = fixture.resolve(flags.clone(), &[]).unwrap().settings;
    fixture.boot(flags);
    let again = fixture.resolve(Partial { name: Some("two".into()), ..Partial::default() }, &[]).unwrap();
    assert_eq!(again.settings, first);
    assert!(again.notes.is_empty());
    let Settings { publish, merge_kubeconfig, .. } = saved(&Root::new(fixture.path("state"), "two")).unwrap();
    assert_eq!((publish, merge_kubeconfig), (first.publish.clone(), true));
    // The user may edit the file.
    let file = fixture.path("state/two/kubernix.toml");
    let edited = fs::read_to_string(&file).unwrap().replace("port = 7000", "root = \"/x\"\ncache-dir = \"mine\"");
    fs::write(&file, edited).unwrap();
    let again = fixture.resolve(Partial { name: Some("two".into()), ..Partial::default() }, &[]).unwrap();
    let expected = Settings { port: None, cache_dir: fixture.path("state/two/mine"), ..first };
    assert_eq!(again.settings, expected);
    assert!(
        again.notes[0].ends_with("`root` has no effect here: the cluster is in the directory of this file"),
        "{:?}",
        again.notes
    );
}

#[test]
fn the_cidr_of_a_cluster_cant_change() {
    let fixture = Fixture::new();
    let root = fixture.boot(Partial { cidr: cidr("10.99.0.0/20"), ..Partial::default() });
    let rejection = |flags, env: &[_]| fixture.resolve(flags, env).unwrap_err().to_string();
    let error = rejection(Partial { cidr: cidr("10.98.0.0/20"), ..Partial::default() }, &[]);
    let down = format!("`kubernix down --root {}`", fixture.path("state").display());
    let begin =
        "the cidr of cluster `kubernix` is `10.99.0.0/20` and can't become `10.98.0.0/20` (--cidr): certificates, ";
    assert!(error.starts_with(begin) && error.contains(&down), "{error}");
    assert!(rejection(Partial::default(), &[("KUBERNIX_CIDR", "10.97.0.0/20")]).contains("(KUBERNIX_CIDR)"));
    // An edit of the saved file is rejected as well.
    let edited = fs::read_to_string(root.settings_file()).unwrap().replace("10.99.", "10.96.");
    fs::write(root.settings_file(), edited).unwrap();
    let error = rejection(Partial::default(), &[]);
    assert!(error.contains("can't become `10.96.0.0/20`") && error.contains("kubernix.toml (saved)"), "{error}");
    // So is a save with another CIDR.
    let mut settings =
        fixture.resolve(Partial { cidr: cidr("10.99.0.0/20"), ..Partial::default() }, &[]).unwrap().settings;
    settings.cidr = "10.1.0.0/16".parse().unwrap();
    let error = save(&root, &settings).unwrap_err().to_string();
    assert!(error.contains("was made with `10.99.0.0/20`, its CIDR can't become `10.1.0.0/16`"), "{error}");
}

#[test]
fn a_clusters_name_is_that_of_its_directory() {
    let fixture = Fixture::new();
    let root = fixture.boot(Partial { port: Some(7000), ..Partial::default() });
    let edited = fs::read_to_string(root.settings_file()).unwrap().replace("name = \"kubernix\"", "name = \"other\"");
    fs::write(root.settings_file(), edited).unwrap();
    let settings = fixture.resolve(Partial::default(), &[]).unwrap().settings;
    assert_eq!((settings.name.as_str(), settings.port), ("kubernix", Some(7000)));
    fs::rename(root.path(), fixture.path("state/renamed")).unwrap();
    let flags = Partial { name: Some("renamed".into()), ..Partial::default() };
    let settings = fixture.resolve(flags, &[]).unwrap().settings;
    assert_eq!((settings.name.as_str(), settings.port), ("renamed", Some(7000)), "the saved settings go with it");
    let saved = saved(&Root::new(fixture.path("state"), "renamed")).unwrap();
    assert_eq!(saved.name, "renamed");
}

#[test]
fn a_cluster_of_a_newer_version_is_rejected_before_its_settings_are_read() {
    let fixture = Fixture::new();
    let root = fixture.boot(Partial::default());
    fs::write(root.path().join("state.json"), r#"{"format": 2, "kubernix": "2.0.0"}"#).unwrap();
    fs::write(root.settings_file(), "shape = \"new\"").unwrap();
    let error = fixture.resolve(Partial::default(), &[]).unwrap_err();
    assert!(matches!(error, Error::Root(root_dir::Error::NewerFormat { .. })), "{error}");
}
