//! Settings from real files and variables: precedence, notes, and errors.

use super::*;
use crate::root_dir::{self, Root};
use ipnet::Ipv4Net;
use kubernix_core::{Binary, Parameter};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

mod catalogue;
mod invalid;
mod lists;
mod parameters;
mod saved;
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
