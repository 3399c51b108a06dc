//! The whole toolchain, with real files, a real Go and a real C compiler.

use super::resolver::resolve_within;
use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

/// Records what is reported.
#[derive(Default)]
struct Recorder(Mutex<Vec<Report>>);

#[derive(Debug, Clone)]
enum Report {
    Tool(String, ToolState),
    Note,
}

impl Reporter for Recorder {
    fn tool(&self, name: &str, state: ToolState) {
        self.0.lock().unwrap().push(Report::Tool(name.to_owned(), state));
    }

    fn note(&self, _message: String) {
        self.0.lock().unwrap().push(Report::Note);
    }
}

/// A machine that has only one directory of programs.
struct Machine {
    dir: tempfile::TempDir,
    reports: Recorder,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        Self { dir, reports: Recorder::default() }
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.dir.path().join("bin").join(name)
    }

    fn options(&self) -> Options {
        Options { cache_dir: self.dir.path().join("cache"), install: false }
    }

    fn resolve(&self, request: &Request) -> Result<Resolution, Error> {
        let search = self.dir.path().join("bin").into_os_string();
        resolve_within(search, Table::embedded(), request, &self.options(), &self.reports)
    }

    fn overridden(&self, name: &str, path: &Path) -> Result<Resolution, OverrideProblem> {
        self.resolve(&Request { overrides: [(name.to_owned(), path.to_owned())].into(), ..request(&[name]) }).map_err(
            |e| match e {
                Error::Overrides(mut errors) if errors.len() == 1 => errors.remove(0).problem,
                other => panic!("{other}"),
            },
        )
    }
}

fn request(names: &[&str]) -> Request {
    Request { names: names.iter().map(ToString::to_string).collect(), ..Request::default() }
}

fn script(path: &Path, text: &str, mode: u32) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_program_on_path_is_used_only_if_its_version_fits() {
    let machine = Machine::new();
    script(&machine.bin("crio"), "echo crio version 1.36.4", 0o755);
    script(&machine.bin("kubectl"), "echo Client Version: v1.32.4-dispatcher", 0o755);
    let resolution = machine.resolve(&request(&["crio"])).unwrap();
    let expected =
        Tool { name: "crio".into(), path: machine.bin("crio"), version: "1.36.4".into(), provider: "path".into() };
    assert_eq!(resolution.tools["crio"], expected);
    let error = machine.resolve(&request(&["kubectl"])).unwrap_err().to_string();
    let unfit = format!("path: {} is 1.32.4-dispatcher, which doesn't fit ~1.36.3", machine.bin("kubectl").display());
    assert!(error.contains(&unfit), "{error}");
    let notes = machine.reports.0.lock().unwrap().iter().filter(|report| matches!(report, Report::Note)).count();
    assert_eq!(notes, 1, "the rejection is noted");
}

#[test]
fn an_optional_tool_is_used_if_it_exists_and_left_out_otherwise() {
    let machine = Machine::new();
    let asked = Request { optional: vec!["crictl".to_owned()], ..request(&[]) };
    assert!(machine.resolve(&asked).unwrap().tools.is_empty());
    script(&machine.bin("crictl"), "echo crictl version 1.36.1", 0o755);
    assert_eq!(machine.resolve(&asked).unwrap().path("crictl"), Some(&*machine.bin("crictl")));
    let own = machine.dir.path().join("own");
    script(&own, "echo crictl version 1.36.2", 0o755);
    let asked = Request { overrides: [("crictl".to_owned(), own.clone())].into(), ..asked };
    assert_eq!(machine.resolve(&asked).unwrap().path("crictl"), Some(&*own));
}

#[test]
fn one_error_lists_all_missing_tools() {
    let machine = Machine::new();
    let error = machine.resolve(&request(&["kubelet", "kube-proxy", "conmon", "pinns", "kubctl"])).unwrap_err();
    let Error::Missing { tools, .. } = &error else { panic!("{error}") };
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["conmon", "kubctl", "kube-proxy", "kubelet", "pinns"]);
    let cache = machine.dir.path().join("cache/toolchain");
    let expected = format!(
        "5 tools are missing, and no provider can supply them:
  conmon >=2.1.6
    path: not on PATH
    host package: needs conmon: there is no apt-get here, install this system's equivalent
  kubctl
    path: not on PATH
    did you mean kubectl?
  kube-proxy, kubelet 1.36.3
    path: not on PATH
    cache: not in {0}
    go: go isn't on PATH; building it takes Go 1.26.0 or newer, see https://go.dev/dl
  pinns 1.36.3
    cache: not in {0}
    go: go isn't on PATH; building it takes Go 1.26.3 or newer, see https://go.dev/dl
to use a binary of your own: --set conmon.binary=PATH",
        cache.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn if_installing_is_disabled_the_error_has_the_command() {
    let machine = Machine::new();
    // It must not be called.
    let called = machine.dir.path().join("called");
    script(&machine.bin("apt-get"), &format!("touch {}", called.display()), 0o755);
    let error = machine.resolve(&request(&["conmon", "nft", "skopeo"])).unwrap_err().to_string();
    assert!(error.contains("host package: needs conmon: installing packages is disabled"), "{error}");
    assert!(error.contains("apt-get install -y --no-install-recommends conmon nftables skopeo\n"), "{error}");
    assert!(!called.exists());
}

#[test]
fn the_error_about_an_old_go_says_how_to_get_a_newer_one() {
    let machine = Machine::new();
    for (go, expected) in [
        ("echo go1.19.8; echo", "is 1.19.8, too old: install Go 1.26.0 or newer, see https://go.dev/dl"),
        ("echo go1.22.1; echo local", "or let it download one with GOTOOLCHAIN=auto"),
        ("echo nonsense", "`go env` printed no version: nonsense"),
    ] {
        script(&machine.bin("go"), go, 0o755);
        let error = machine.resolve(&request(&["etcd"])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_fitting_override_comes_before_all_providers() {
    let machine = Machine::new();
    script(&machine.bin("crio"), "echo crio version 1.36.3", 0o755);
    let own = machine.dir.path().join("my-crio");
    script(&own, "echo crio version 1.36.0-dev", 0o755);
    let resolution = machine.overridden("crio", &own).unwrap();
    let tool = &resolution.tools["crio"];
    assert_eq!((&tool.path, tool.version.as_str(), tool.provider.as_str()), (&own, "1.36.0-dev", "override"));
}

#[test]
fn each_problem_of_an_override_is_reported() {
    let machine = Machine::new();
    let own = machine.dir.path().join("my-crio");
    assert_eq!(machine.overridden("crio", &own), Err(OverrideProblem::NotFound));
    assert_eq!(machine.overridden("crio", machine.dir.path()), Err(OverrideProblem::NotAFile));
    script(&own, "echo crio version 1.36.3", 0o644);
    assert_eq!(machine.overridden("crio", &own), Err(OverrideProblem::NotExecutable { mode: 0o644 }));
    script(&own, "echo crio version 1.30.2", 0o755);
    let wrong = OverrideProblem::WrongVersion { found: "1.30.2".into(), wanted: "1.36".into() };
    assert_eq!(machine.overridden("crio", &own), Err(wrong));
    script(&own, "echo no such library; exit 127", 0o755);
    let Err(OverrideProblem::NoVersion { reason }) = machine.overridden("crio", &own) else { panic!() };
    assert!(reason.contains("exit status: 127") && reason.contains("no such library"), "{reason}");
    assert_eq!(machine.overridden("cni", &own), Err(OverrideProblem::NotADirectory));
    assert_eq!(machine.overridden("bridge", &own), Err(OverrideProblem::PartOfGroup { group: "cni".into() }));
}

#[test]
fn the_user_can_allow_any_version() {
    let machine = Machine::new();
    let own = machine.dir.path().join("my-crio");
    script(&own, "echo crio version 1.30.2", 0o755);
    let mut request = Request { overrides: [("crio".to_owned(), own.clone())].into(), ..request(&["crio"]) };
    let error = machine.resolve(&request).unwrap_err().to_string();
    assert!(error.contains("has version 1.30.2, but 1.36 is required"), "{error}");
    assert!(error.ends_with("--set crio.any-version=true"), "{error}");
    request.any_version.insert("crio".to_owned());
    assert_eq!(machine.resolve(&request).unwrap().tools["crio"].version, "1.30.2");
    script(&own, "exit 1", 0o755);
    assert_eq!(machine.resolve(&request).unwrap().tools["crio"].version, "unknown");
}

#[test]
fn one_error_lists_all_bad_overrides_of_requested_tools() {
    let machine = Machine::new();
    let none = PathBuf::from("/nonexistent");
    let overrides = ["crio", "etcd", "runc"].map(|name| (name.to_owned(), none.clone())).into();
    let error = machine.resolve(&Request { overrides, ..request(&["crio", "runc"]) }).unwrap_err();
    assert_eq!(error.to_string(), "crio: /nonexistent doesn't exist\nrunc: /nonexistent doesn't exist");
}

#[test]
fn a_program_that_is_not_in_the_table_is_found_by_name() {
    let machine = Machine::new();
    script(&machine.bin("my-runtime"), "exit 1", 0o755);
    let tool = machine.resolve(&request(&["my-runtime"])).unwrap().tools.remove("my-runtime").unwrap();
    assert_eq!((tool.path, tool.version.as_str()), (machine.bin("my-runtime"), "unknown"));
}

#[test]
fn built_tools_are_found_in_the_cache_without_go() {
    let machine = Machine::new();
    let wanted = request(&["host-local", "pinns"]);
    let built =
        resolve(Table::embedded(), &wanted, &machine.options(), &machine.reports).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<&str> = built.tools.keys().map(String::as_str).collect();
    assert_eq!(names, ["bridge", "cni", "host-local", "loopback", "pinns", "portmap", "ptp"]);
    assert!(built.tools.values().all(|tool| tool.provider == "go" && tool.path.exists()));
    assert_eq!(built.path("bridge").unwrap().parent(), built.path("cni"));
    let reports = machine.reports.0.lock().unwrap().clone();
    let building = |report: &Report| matches!(report, Report::Tool(name, ToolState::Building { .. }) if name == "cni");
    assert!(reports.iter().any(building), "{reports:?}");
    let again = machine.resolve(&wanted).unwrap();
    assert!(again.tools.values().all(|tool| tool.provider == "cache"));
    assert_eq!(again.path("pinns"), built.path("pinns"));
}

#[test]
fn a_second_resolution_runs_no_program() {
    let machine = Machine::new();
    let runs = machine.dir.path().join("runs");
    script(&machine.bin("crio"), &format!("echo run >> {}; echo crio version 1.36.3", runs.display()), 0o755);
    let first = machine.resolve(&request(&["crio"])).unwrap();
    assert_eq!(machine.resolve(&request(&["crio"])).unwrap(), first);
    assert_eq!(fs::read_to_string(runs).unwrap(), "run\n");
}

#[test]
fn a_failed_build_shows_the_output_of_the_compiler() {
    let table = "need = {}\n[go.cni]\nversion = \"1.9.1\"\ncgo = false\n[tool.nothing]\ngo = \"cni\"\n\
                 package = \"github.com/containernetworking/plugins/plugins/main/nothing\"\n";
    let machine = Machine::new();
    let table = Table::parse(table).unwrap();
    let error = resolve(&table, &request(&["nothing"]), &machine.options(), &machine.reports).unwrap_err().to_string();
    assert!(error.contains("go: go failed (exit status: 1):\n"), "{error}");
    assert!(error.contains("plugins/main/nothing"), "{error}");
    let left: Vec<_> = fs::read_dir(machine.dir.path().join("cache/toolchain")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == ".cni.lock"), "{left:?}");
}

#[test]
fn an_absolute_path_is_checked_as_the_tool_of_its_file_name() {
    let machine = Machine::new();
    let (old, fit, own) = (machine.bin("crun"), machine.dir.path().join("crun"), machine.bin("own"));
    script(&old, "echo crun version 1.8.1", 0o755);
    script(&fit, "echo crun version 1.21", 0o755);
    script(&own, "exit 1", 0o755);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let resolution = machine.resolve(&request(&[&path(&fit), &path(&own)])).unwrap();
    assert_eq!(resolution.tools[&path(&fit)].version, "1.21.0");
    assert_eq!(resolution.path(&path(&own)), Some(&*own));
    let asked = request(&[&path(&old)]);
    let error = machine.resolve(&asked).unwrap_err().to_string();
    assert!(error.contains("/crun has version 1.8.1, but >=1.14.3 is required"), "{error}");
    machine.resolve(&Request { any_version: ["crun".to_owned()].into(), ..asked }).unwrap();

    // By name, a program on PATH is only used if its version fits.
    let error = machine.resolve(&request(&["crun"])).unwrap_err().to_string();
    assert!(error.contains("crun is 1.8.1, which doesn't fit >=1.14.3"), "{error}");
}

#[test]
fn a_package_whose_version_does_not_fit_is_not_installed() {
    let machine = Machine::new();
    let called = machine.dir.path().join("called");
    script(&machine.bin("apt-get"), &format!("touch {}", called.display()), 0o755);
    script(&machine.bin("apt-cache"), "echo \"$2:\"; echo '  Candidate: 1.8.1-1+deb12u1'", 0o755);
    let options = Options { install: true, ..machine.options() };
    let search = machine.dir.path().join("bin").into_os_string();
    let error = resolve_within(search, Table::embedded(), &request(&["crun"]), &options, &machine.reports).unwrap_err();
    let wanted = "host package: this distribution's crun has version 1.8.1, which doesn't fit >=1.14.3";
    assert!(error.to_string().contains(wanted), "{error}");
    assert!(!called.exists());
}
