//! Settings from real files and variables: precedence, notes, and errors.

use super::*;
use crate::root::{self, Root};
use ipnet::Ipv4Net;
use kubernix_core::{Binary, Parameter};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

mod lists;
mod parameters;
mod table;

/// A working directory, and the empty default directories of a user.
struct Fixture {
    directory: TempDir,
    defaults: Defaults,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| Some(directory.path().join(name));
        let defaults =
            Defaults { home: at("home"), root: at("state"), cache_dir: at("cache"), config: at("home/kubernix.toml") };
        fs::create_dir(directory.path().join("home")).unwrap();
        Self { directory, defaults }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn resolve(&self, flags: Partial, env: &[(&str, &str)]) -> Result<Resolved, Error> {
        let env = Partial::from_env(env.iter().copied())?;
        resolve_with(flags, env, None, self.directory.path(), &self.defaults)
    }

    /// Saves the settings of a boot with these flags.
    fn boot(&self, flags: Partial) -> Root {
        let settings = self.resolve(flags, &[]).unwrap().settings;
        let root = Root::new(&settings.root, &settings.name);
        root.create().unwrap();
        save(&root, &settings).unwrap();
        root
    }

    fn origin(&self, resolved: &Resolved, key: &str) -> String {
        let here = format!("{}/", self.directory.path().display());
        resolved.origins.get(key).map_or("default".into(), |origin| origin.to_string().replace(&here, ""))
    }
}

fn cidr(text: &str) -> Option<Ipv4Net> {
    Some(text.parse().unwrap())
}

fn sets(forms: &[&str]) -> Partial {
    Partial::default().with_sets(forms).unwrap()
}

fn toml_error(text: &str) -> String {
    Partial::from_toml(Path::new("kubernix.toml"), text).unwrap_err().to_string()
}

fn env_error(name: &str, value: &str) -> String {
    Partial::from_env([(name, value)]).unwrap_err().to_string()
}

#[test]
fn settings_have_their_defaults_if_no_source_sets_them() {
    let fixture = Fixture::new();
    let resolved = fixture.resolve(Partial::default(), &[]).unwrap();
    let settings = &resolved.settings;
    assert_eq!((settings.name.as_str(), settings.port, settings.install), ("kubernix", None, true));
    assert_eq!((settings.cidr.to_string().as_str(), settings.boot_timeout_s), ("10.10.0.0/16", 120));
    assert_eq!((&settings.root, &settings.cache_dir), (&fixture.path("state"), &fixture.path("cache")));
    assert!(resolved.origins.is_empty() && resolved.notes.is_empty() && resolved.file.is_none());
    assert!(show(&resolved).iter().all(|row| row.origin == Origin::Default));
}

#[test]
fn precedence_is_flag_variable_file_saved_default() {
    let fixture = Fixture::new();
    fixture.boot(sets(&[
        "cri=containerd",
        "crio.log-level=saved",
        "etcd.quota=saved",
        "dns.zone=saved",
        "proxy.mode=saved",
    ]));
    fixture.write(
        "kubernix.toml",
        "port = 7000\nboot-timeout = 30\n[components.crio]\nlog-level = \"file\"\n[components.etcd]\nquota = 3\n\
         [components.dns]\nzone = \"file\"\n",
    );
    let mut flags = sets(&["crio.log-level=flag"]);
    flags.install = Some(false);
    let env = [("KUBERNIX_PORT", "7001"), ("KUBERNIX_SET", "crio.log-level=env,etcd.quota=env"), ("PATH", "/bin")];
    let resolved = fixture.resolve(flags, &env).unwrap();

    let rows: Vec<(String, String, String)> = show(&resolved)
        .into_iter()
        .map(|row| (row.key.clone(), row.value, fixture.origin(&resolved, &row.key)))
        .filter(|(_, _, origin)| origin != "default")
        .collect();
    let saved = "state/kubernix/kubernix.toml (saved)";
    let expected = [
        ("cidr", "10.10.0.0/16", saved),
        ("port", "7001", "KUBERNIX_PORT"),
        ("install", "false", "--no-install"),
        ("boot-timeout", "30", "kubernix.toml:2"),
        ("slots.cri", "containerd", saved),
        ("components.crio.log-level", "flag", "--set crio.log-level"),
        ("components.dns.zone", "file", "kubernix.toml:8"),
        ("components.etcd.quota", "env", "KUBERNIX_SET"),
        ("components.proxy.mode", "saved", saved),
    ];
    assert_eq!(rows, expected.map(|(key, value, origin)| (key.to_owned(), value.to_owned(), origin.to_owned())));
}

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
    assert!(matches!(error, Error::Root(root::Error::NewerFormat { .. })), "{error}");
}

#[test]
fn locate_finds_a_cluster_whose_configuration_no_longer_fits() {
    let fixture = Fixture::new();
    fixture.boot(Partial { root: Some(fixture.path("state")), ..Partial::default() });
    fixture.write("kubernix.toml", "cidr = \"10.98.0.0/20\"\nroot = \"state\"\n");
    assert!(fixture.resolve(Partial::default(), &[]).is_err());
    let flags = Partial { name: Some("two".into()), ..Partial::default() };
    let place = locate(flags, Partial::default(), None, fixture.directory.path()).unwrap();
    assert_eq!(place, Place { name: "two".into(), root: fixture.path("state") });
}

#[test]
fn the_first_existing_configuration_file_counts() {
    let fixture = Fixture::new();
    let name = |file: Option<&str>, env: &[(&str, &str)]| {
        let env = Partial::from_env(env.iter().copied()).unwrap();
        let file = file.map(Path::new);
        let resolved = resolve_with(Partial::default(), env, file, fixture.directory.path(), &fixture.defaults);
        resolved.map(|resolved| (resolved.settings.name, resolved.file))
    };
    fixture.write("home/kubernix.toml", "name = \"user\"");
    assert_eq!(name(None, &[]).unwrap(), ("user".into(), Some(fixture.path("home/kubernix.toml"))));
    fixture.write("kubernix.toml", "name = \"here\"");
    assert_eq!(name(None, &[]).unwrap().0, "here");
    fixture.write("named.toml", "name = \"variable\"");
    assert_eq!(name(None, &[("KUBERNIX_CONFIG", "named.toml")]).unwrap().0, "variable");
    fixture.write("flag.toml", "name = \"flag\"");
    assert_eq!(name(Some("flag.toml"), &[("KUBERNIX_CONFIG", "named.toml")]).unwrap().0, "flag");
    let error = name(Some("none.toml"), &[]).unwrap_err().to_string();
    assert!(
        error.contains("can't read the configuration") && error.contains("none.toml`: entity not found"),
        "{error}"
    );
}

#[test]
fn paths_are_relative_to_the_file_or_the_working_directory() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("etc")).unwrap();
    fixture
        .write("etc/my.toml", "root = \"clusters\"\ncache-dir = \"~/cache\"\n[components.crio]\nbinary = \"bin/crio\"");
    let flags = Partial { config: Some("etc/my.toml".into()), ..sets(&["runc.binary=./bin/runc"]) };
    let settings = fixture.resolve(flags, &[]).unwrap().settings;
    assert_eq!(settings.root, fixture.path("etc/clusters"));
    assert_eq!(settings.cache_dir, fixture.path("home/cache"));
    assert_eq!(settings.components["crio"]["binary"], fixture.path("etc/bin/crio").to_string_lossy());
    assert_eq!(settings.components["runc"]["binary"], fixture.path("bin/runc").to_string_lossy());
    let error = fixture.resolve(sets(&["crio.binary="]), &[]).unwrap_err().to_string();
    assert_eq!(error, "--set crio.binary: a path can't be empty");
}

#[test]
fn a_syntax_error_has_line_and_column() {
    assert!(toml_error("name = \"a\"\n\n  port = = 3\n").starts_with("kubernix.toml:3:10: "));
    assert!(toml_error("[slots\ncri = \"crio\"").starts_with("kubernix.toml:1:7: "));
    assert!(toml_error("name = \"a\"\nname = \"b\"\n").starts_with("kubernix.toml:2:1: duplicate key"));
    assert!(toml_error("# ä\nname = \"ä").starts_with("kubernix.toml:2:"));
}

#[test]
fn an_unknown_key_gets_the_most_similar_one_and_its_line() {
    assert_eq!(
        toml_error("name = \"a\"\ncird = \"10.0.0.0/16\""),
        "kubernix.toml:2:1: unknown key `cird`, did you mean `cidr`?"
    );
    assert!(toml_error("boot_timeout = 3").ends_with("unknown key `boot_timeout`, did you mean `boot-timeout`?"));
    assert!(toml_error("[component.crio]").ends_with(":1:2: unknown key `component`, did you mean `components`?"));
    let error = toml_error("colour = 3");
    let mut known: Vec<&str> = Id::ALL.iter().map(|id| id.setting().key()).collect();
    known.extend(["components", "node", "registry", "slots"]);
    known.sort_unstable();
    assert!(error.ends_with(&format!("`colour`, there is `{}`", known.join("`, `"))), "{error}");
}

#[test]
fn values_in_files_must_be_valid_and_of_their_type() {
    assert_eq!(toml_error("\nport = \"6443\""), "kubernix.toml:2:8: `port` must be a number, not a string");
    assert!(toml_error("port = 0").contains(":1:8: `0` is not a port, give a number from 1 to 65535"));
    assert!(toml_error("name = 3").contains("`name` must be text in quotes, not an integer"));
    assert!(toml_error("install = \"no\"").contains("`install` must be true or false"));
    assert!(toml_error("slots = 1").contains("`slots` must be a table, not an integer"));
    assert!(toml_error("[slots]\ncri = true").contains(":2:7: `slots.cri` must be a component's name in quotes"));
    assert!(toml_error("[components]\ncrio = \"x\"").contains(":2:8: `components.crio` must be a table"));
    assert!(toml_error("[components.crio]\nargs = [1]").contains(":2:8: `components.crio.args` must be text"));
    assert!(toml_error("cidr = \"10.10.3.0/16\"").contains(":1:8: `10.10.3.0/16` has host bits set"));
    assert!(toml_error("[components.\"a.b\"]\nc = 1").contains("`a.b` is not a name"));
    let fits = "[components.x]\na = 3\nb = 0.5\nc = true\nd = \"text\"";
    let parameters = &Partial::from_toml(Path::new("f"), fits).unwrap().components["x"];
    assert_eq!(parameters.values().collect::<Vec<_>>(), ["3", "0.5", "true", "text"]);
}

#[test]
fn an_invalid_variable_is_named() {
    assert_eq!(
        env_error("KUBERNIX_PORT", "http"),
        "KUBERNIX_PORT: `http` is not a port, give a number from 1 to 65535"
    );
    assert!(env_error("KUBERNIX_CIDR", "10.0.0.0").starts_with("KUBERNIX_CIDR: `10.0.0.0` is not an IPv4 CIDR"));
    assert!(env_error("KUBERNIX_INSTALL", "maybe").contains("KUBERNIX_INSTALL: `maybe` is neither true nor false"));
    assert!(env_error("KUBERNIX_BOOT_TIMEOUT", "0").contains("`0` is not a number of seconds from 1 to 86400"));
    assert!(env_error("KUBERNIX_SET", "cri").contains("KUBERNIX_SET: `cri` is neither ROLE=COMPONENT nor"));
    assert!(env_error("KUBERNIX_NAME", "My_Cluster").contains("KUBERNIX_NAME: `My_Cluster` can't name a cluster"));
    use std::os::unix::ffi::OsStringExt;
    let bytes = std::ffi::OsString::from_vec(vec![0xff]);
    let error = Partial::from_env([("KUBERNIX_NAME".into(), bytes)] as [(std::ffi::OsString, _); 1]).unwrap_err();
    assert!(error.to_string().contains("KUBERNIX_NAME: ") && error.to_string().ends_with("is not UTF-8"));
}

#[test]
fn empty_variables_count_as_not_set_and_misspelt_ones_get_a_note() {
    let env = [("KUBERNIX_PORT", ""), ("KUBERNIX_CIDER", "x"), ("KUBERNIX_SOMETHING_ELSE", "x"), ("CIDR", "x")];
    let partial = Partial::from_env(env).unwrap();
    assert_eq!(partial.notes, ["the variable `KUBERNIX_CIDER` is unknown, did you mean `KUBERNIX_CIDR`?"]);
    assert_eq!(Partial { notes: Vec::new(), ..partial }, Partial::default());
}

#[test]
fn names_are_labels_and_an_invalid_one_gets_a_proposal() {
    let error = |name| parse_name(name).unwrap_err().to_string();
    assert_eq!(parse_name("a-1").unwrap(), "a-1");
    assert!(error("My Cluster").ends_with(", as in `my-cluster`"));
    for name in ["", "-a", "a-", "..", "a/b", "ä", &"a".repeat(41)] {
        assert!(error(name).contains(&format!("`{name}` can't name a cluster")), "{name}");
    }
    assert!(parse_name(&"a".repeat(40)).is_ok());
    let fixture = Fixture::new();
    let flags = Partial { name: Some("../x".into()), ..Partial::default() };
    assert!(fixture.resolve(flags, &[]).unwrap_err().to_string().starts_with("--name: `../x` can't name"));
}

#[test]
fn a_cidr_without_an_address_plan_is_rejected_with_its_flag() {
    let fixture = Fixture::new();
    for (given, reason) in
        [("10.1.2.3/16", "host bits"), ("10.0.0.0/28", "too small"), ("127.0.0.0/16", "reserved (loopback)")]
    {
        let error = fixture.resolve(Partial { cidr: cidr(given), ..Partial::default() }, &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--cidr: `{given}`")) && error.contains(reason), "{error}");
    }
}

#[test]
fn set_arguments_without_a_valid_form_are_rejected() {
    let error = |form| set::check(form).unwrap_err().to_string();
    let partial = sets(&["cri=crio", "crio.args=--a=b,c", "cri=containerd"]);
    assert_eq!(partial.slots["cri"], "containerd", "the last counts");
    assert_eq!(partial.components["crio"]["args"], "--a=b,c");
    let env = Partial::from_env([("KUBERNIX_SET", r"crio.args=a\,b, cri=crio,")]).unwrap();
    assert_eq!((env.components["crio"]["args"].as_str(), env.slots["cri"].as_str()), ("a,b", "crio"));
    assert_eq!(set::check("crio.binary=/x").unwrap(), "crio.binary=/x");
    assert!(error("crio").starts_with("--set: `crio` is neither"));
    for form in ["=x", "crio.=x", "cri="] {
        assert!(error(form).contains("`` is not a name"), "{form}");
    }
    assert!(error("cidr=10.0.0.0/8").contains("`cidr` is a setting of its own, give --cidr"));
}

fn catalogue() -> Catalogue {
    let entry = |name: &str, provides: &[&str], parameters: &[&str], binaries: &[&str]| Entry {
        name: name.into(),
        provides: provides.iter().map(ToString::to_string).collect(),
        parameters: parameters.iter().map(|name| Parameter::new(*name, "1", "help")).collect(),
        binaries: binaries.iter().map(|name| Binary::from(*name)).collect(),
    };
    Catalogue {
        components: vec![
            entry("etcd", &["datastore"], &["quota-mb"], &["etcd"]),
            entry("crio", &["cri"], &["log-level"], &["crio", "conmon"]),
            entry("containerd", &["cri"], &[], &["containerd", "runc"]),
            entry("apiserver", &["apiserver", "apiserver-port"], &[], &["kube-apiserver"]),
        ],
        tools: vec!["runc".into(), "busybox".into()],
    }
}

fn invalid(forms: &[&str]) -> String {
    Fixture::new().resolve(sets(forms), &[]).unwrap().validate(&catalogue()).unwrap_err().to_string()
}

#[test]
fn an_unknown_name_gets_the_most_similar_one_and_its_origin() {
    assert_eq!(invalid(&["cri=criio"]), "--set cri: unknown component `criio`, did you mean `crio`?");
    assert_eq!(invalid(&["datastor=etcd"]), "--set datastor: unknown role `datastor`, did you mean `datastore`?");
    assert_eq!(
        invalid(&["crio.loglevel=3"]),
        "--set crio.loglevel: unknown parameter `loglevel` of `crio`, did you mean `log-level`?"
    );
    assert_eq!(invalid(&["cryo.log-level=3"]), "--set cryo.log-level: unknown component `cryo`, did you mean `crio`?");
    assert_eq!(invalid(&["run.binary=/x"]), "--set run.binary: unknown component `run`, did you mean `runc`?");
    assert!(
        invalid(&["runc.args=x"])
            .ends_with("unknown parameter `args` of the binary `runc`, there is `any-version`, `binary`")
    );
    assert!(invalid(&["crio=containerd"]).ends_with("unknown role `crio`: this is a component, which can fill `cri`"));
    assert!(invalid(&["zzzzzzz=etcd"]).ends_with("there is `apiserver`, `apiserver-port`, `cri`, `datastore`"));
}

#[test]
fn an_unknown_name_in_a_file_has_its_line() {
    let fixture = Fixture::new();
    fixture.write("kubernix.toml", "[slots]\n\ncri = \"crioo\"");
    let error = fixture.resolve(Partial::default(), &[]).unwrap().validate(&catalogue()).unwrap_err().to_string();
    assert!(error.contains("kubernix.toml:3: unknown component `crioo`, did you mean `crio`?"), "{error}");
}

#[test]
fn a_component_that_doesnt_provide_the_role_of_its_slot_is_rejected() {
    assert_eq!(
        invalid(&["cri=etcd"]),
        "--set cri: `etcd` can't fill the slot `cri`: it provides `datastore`; `cri` can be filled by `crio`, `containerd`"
    );
    let fits = Fixture::new().resolve(sets(&["cri=containerd", "crio.log-level=x", "runc.binary=/x"]), &[]).unwrap();
    fits.validate(&catalogue()).unwrap();
}

#[test]
fn a_binary_is_named_by_its_own_name_or_its_components() {
    let fixture = Fixture::new();
    let forms = ["crio.binary=/a/crio", "conmon.binary=/a/conmon", "apiserver.binary=/a/api", "busybox.binary=/a/box"];
    let settings = fixture.resolve(sets(&forms), &[]).unwrap().settings;
    let paths = binary_overrides(&settings, &catalogue()).unwrap();
    let expected = [("busybox", "/a/box"), ("conmon", "/a/conmon"), ("crio", "/a/crio"), ("kube-apiserver", "/a/api")];
    assert_eq!(paths, expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).into());
    let error = invalid(&["apiserver.binary=/a", "kube-apiserver.binary=/b"]);
    assert!(error.contains("`kube-apiserver` gets two paths, `/a` and `/b`"), "{error}");
}

#[test]
fn rows_have_origins_in_json() {
    let fixture = Fixture::new();
    let resolved = fixture.resolve(sets(&["crio.log-level=2"]), &[]).unwrap();
    let rows = show_all(&resolved, &catalogue());
    let json = serde_json::to_value(&rows).unwrap();
    let find = |key: &str| json.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!(find("components.crio.log-level")["origin"]["at"], "--set crio.log-level");
    assert_eq!(find("components.crio.log-level")["origin"]["source"], "flag");
    let default = find("components.etcd.quota-mb");
    assert_eq!((&default["value"], &default["origin"]["source"]), (&"1".into(), &"default".into()));
    assert_eq!(find("port")["value"], "first free from 6443");
}
