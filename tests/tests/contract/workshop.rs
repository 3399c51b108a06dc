//! Builds a host and a plugin of each age, and the sample libraries, below cargo's target
//! directory. The hosts use the source of the shipped loader.
//!
//! Nothing is downloaded: versions are those of this checkout's Cargo.lock. It must not know the
//! tests.

use crate::ages::{self, Age};
use kubernix_tests::{program, run, run_for};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// The time limit of a build. The first build is slow because of abi_stable.
const BUILD_TIMEOUT: Duration = Duration::from_secs(900);

/// Defective plugins, with the code that exports them.
const SAMPLES: &[(&str, &str)] = &[
    ("rogue", "kubernix_core::export_component!(sample::Rogue::default());"),
    ("stillborn", "kubernix_core::export_component!(sample::Stillborn::new());"),
    ("other", ""),
];

/// The built hosts and plugins.
pub struct Workshop {
    /// The ages, oldest first.
    pub ages: Vec<Age>,
    built: PathBuf,
}

impl Workshop {
    /// The workshop, built by the first test that needs it.
    pub fn open() -> &'static Self {
        // A failed build isn't tried again: the first test shows the reason.
        static WORKSHOP: LazyLock<Workshop> = LazyLock::new(Workshop::build);
        &WORKSHOP
    }

    /// The host program of an age.
    pub fn host(&self, age: &Age) -> PathBuf {
        self.built.join(format!("host-{}", age.label()))
    }

    /// The plugin of an age.
    pub fn plugin(&self, age: &Age) -> PathBuf {
        self.built.join(format!("libplugin_{}.so", age.label().replace('-', "_")))
    }

    /// A sample plugin, built for this checkout's contract.
    pub fn sample(&self, name: &str) -> PathBuf {
        self.built.join(format!("lib{name}.so"))
    }

    fn build() -> Self {
        let ages = ages::all();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract");
        let work = folder.join("work");
        for age in &ages {
            let core = folder.join("cores").join(age.text());
            age.files.iter().for_each(|(path, text)| write(&core.join(path), text));
            let grown: Vec<_> = (1..=age.grown).map(|step| format!("grown{step}")).collect();
            package(
                &work,
                &format!("plugin-{}", age.label()),
                age,
                &grown,
                "plugin",
                "kubernix_core::export_component!(sample::Sample);",
            );
            if !age.broken {
                host(&work, age, &grown);
            }
        }
        let now = ages.iter().find(|age| age.version == ages::current()).expect("this checkout is an age");
        for (name, exported) in SAMPLES {
            package(&work, name, now, &[], name, exported);
        }
        write(&work.join("Cargo.toml"), &workspace());
        fs::copy(root().join("Cargo.lock"), work.join("Cargo.lock")).expect("the versions of this checkout");
        let target = folder.join("target");
        let mut cargo = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--workspace", "--offline", "--quiet", "--target-dir"]).arg(&target).current_dir(&work);
        // The variable is set by the build of the tests, and would redirect the output.
        run_for(cargo.env_remove("CARGO_BUILD_TARGET"), BUILD_TIMEOUT).ok();
        Self { ages, built: target.join("debug") }
    }
}

/// Compiles a C file of the samples.
pub fn compiled(name: &str, arguments: &[&str], output: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract/c");
    fs::create_dir_all(&folder).expect("a folder");
    let output = folder.join(output);
    run(program("cc").args(arguments).arg("-o").arg(&output).arg(samples().join(name))).ok();
    output
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/samples")
}

/// The workspace of all packages. Versions of dependencies are those of this workspace.
fn workspace() -> String {
    let ours = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let version = |name: &str| {
        let line = ours.lines().find(|line| line.starts_with(&format!("{name} = ")));
        line.unwrap_or_else(|| panic!("the workspace has no dependency {name}")).to_owned()
    };
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"packages/*\"]\n[workspace.dependencies]\n{}\n{}\n{}\n{}\n\
         [profile.dev]\ndebug = 0\nincremental = false\n",
        version("abi_stable"),
        version("libloading"),
        version("log"),
        version("thiserror")
    )
}

/// A plugin that exports the component of a sample.
fn package(work: &Path, name: &str, age: &Age, grown: &[String], sample: &str, exported: &str) {
    let source = samples().join(format!("{sample}.rs"));
    let manifest = manifest(name, age, grown)
        + "abi_stable.workspace = true\nlog.workspace = true\n[lib]\ncrate-type = [\"cdylib\"]\n";
    write(&work.join("packages").join(name).join("Cargo.toml"), &manifest);
    let code = format!("#[path = {source:?}]\nmod sample;\n{exported}\n");
    write(&work.join("packages").join(name).join("src/lib.rs"), &code);
}

/// A host of an age.
fn host(work: &Path, age: &Age, grown: &[String]) {
    let name = format!("host-{}", age.label());
    let manifest =
        manifest(&name, age, grown) + "libloading.workspace = true\nlog.workspace = true\nthiserror.workspace = true\n";
    write(&work.join("packages").join(&name).join("Cargo.toml"), &manifest);
    let plugins = root().join("host/plugins/src");
    let mut code = "#![allow(dead_code)]\n".to_owned();
    let modules = ["elf", "layout", "loader"].map(|module| (module, plugins.join(format!("{module}.rs"))));
    let own = ["host", "layouts"].map(|module| (module, samples().join(format!("{module}.rs"))));
    for (module, path) in modules.into_iter().chain(own) {
        writeln!(code, "#[path = {path:?}]\nmod {module};").expect("a string takes all");
    }
    write(&work.join("packages").join(&name).join("src/main.rs"), &(code + "fn main() {\n    host::main();\n}\n"));
}

/// The beginning of a package's manifest; further dependencies follow.
fn manifest(name: &str, age: &Age, grown: &[String]) -> String {
    let version = age.text();
    format!(
        "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2024\"\n[features]\ndefault = {grown:?}\ngrown1 = []\n\
         grown2 = []\n[dependencies]\nkubernix-core = {{ path = \"../../../cores/{version}\" }}\n"
    )
}

/// Writes a file if its content differs: cargo rebuilds newer files.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
