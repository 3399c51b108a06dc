//! Cargo's metadata of this checkout, and the builds of the `kubernix` binary.

use crate::run;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A member of the workspace.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// Its folder below the workspace's root: `components/etcd`.
    pub folder: String,
    /// Its dependencies by name; true for dev-dependencies.
    pub dependencies: Vec<(String, bool)>,
    /// The names of its binaries that have tests. `cargo test --bins` would also run those whose
    /// manifest says `test = false`.
    pub binaries: Vec<String>,
    /// The names of its integration tests, except for those that need a feature.
    pub tests: Vec<String>,
}

/// A profile of the root manifest that `kubernix` is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For the clusters of the tests: the same build as the tests.
    Dev,
    /// For `cargo xtask cluster`: compiles in half the CPU time of `release`.
    Quick,
    /// Optimized, for benchmarks and releases.
    Release,
}

impl Profile {
    /// Its name in the manifest.
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Quick => "quick",
            Self::Release => "release",
        }
    }

    /// The packages that cargo resolves features for. With the whole workspace, `kubernix` shares
    /// its dependencies with the tests.
    fn packages(self) -> &'static str {
        match self {
            Self::Dev => "--workspace",
            Self::Quick | Self::Release => "--package=kubernix-cli",
        }
    }
}

/// The checkout.
#[derive(Debug)]
pub struct Workspace {
    /// Its root.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// Its members.
    pub packages: Vec<Package>,
}

impl Workspace {
    /// Loads the workspace of the current directory.
    pub fn load() -> Result<Self> {
        let mut metadata = run::cargo();
        metadata.args(["metadata", "--format-version=1", "--no-deps"]);
        Self::parse(&serde_json::from_str(&run::output(&mut metadata)?)?)
    }

    fn parse(metadata: &Value) -> Result<Self> {
        let root = PathBuf::from(text(metadata, "workspace_root")?);
        let packages = list(metadata, "packages").map(|package| Package::parse(package, &root));
        Ok(Self {
            target: PathBuf::from(text(metadata, "target_directory")?),
            packages: packages.collect::<Result<_>>()?,
            root,
        })
    }

    /// A directory for xtask's files below cargo's target directory.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("can't create {}", path.display()))?;
        Ok(path)
    }

    /// The package of this name.
    pub fn package(&self, name: &str) -> Result<&Package> {
        self.packages.iter().find(|p| p.name == name).with_context(|| format!("the workspace has no package `{name}`"))
    }

    /// The command that builds `kubernix`. Its standard output is cargo's JSON.
    pub fn build_command(&self, profile: Profile) -> Command {
        let mut build = run::cargo();
        build.args(["build", "--profile", profile.name(), profile.packages(), "--bin=kubernix"]);
        build.arg("--message-format=json-render-diagnostics").current_dir(&self.root);
        build
    }

    /// Builds `kubernix` and returns its path. Prints cargo's progress, unless the binary is fresh.
    pub fn build(&self, profile: Profile) -> Result<PathBuf> {
        self.build_with(self.build_command(profile))
    }

    /// Builds `kubernix` without these components (none named: without any), beside the usual one,
    /// and returns its path.
    pub fn build_without(&self, profile: Profile, components: &[String]) -> Result<PathBuf> {
        let kept = crate::components::names(self)
            .into_iter()
            .filter(|name| !components.is_empty() && !components.iter().any(|without| without == name));
        let kept = kept.collect::<Vec<_>>();
        let mut build = self.build_command(profile);
        build.args(["--no-default-features", "--features", &kept.join(",")]);
        let built = self.build_with(build)?;
        // The next build puts the usual one back here.
        let without = if components.is_empty() { "all".to_owned() } else { components.join("-") };
        let own = self.scratch(&format!("without-{without}"))?.join("kubernix");
        let new = own.with_extension("new");
        std::fs::copy(&built, &new).with_context(|| format!("can't copy {}", built.display()))?;
        std::fs::rename(&new, &own).with_context(|| format!("can't write {}", own.display()))?;
        Ok(own)
    }

    fn build_with(&self, mut build: Command) -> Result<PathBuf> {
        if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            build.env("CARGO_TERM_COLOR", "always");
        }
        let mut child = build.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            bail!("cargo has no output");
        };
        let messages = std::thread::scope(|scope| {
            scope.spawn(|| forward(BufReader::new(stderr)));
            let mut messages = String::new();
            stdout.read_to_string(&mut messages).map(|_| messages)
        })?;
        if !child.wait()?.success() {
            bail!("building `kubernix` failed");
        }
        executable(&messages).context("cargo built `kubernix` without reporting its path")
    }
}

impl Package {
    fn parse(package: &Value, root: &Path) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root).ok());
        let dependency = |d: &Value| Ok((text(d, "name")?.to_owned(), d["kind"] == "dev"));
        let targets = |wanted: &str| -> Result<Vec<String>> {
            list(package, "targets")
                .filter(|target| list(target, "kind").any(|kind| kind == wanted))
                .filter(|target| target["test"] == true && list(target, "required-features").next().is_none())
                .map(|target| Ok(text(target, "name")?.to_owned()))
                .collect()
        };
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            version: text(package, "version")?.to_owned(),
            folder: folder.context("a member lies outside the workspace")?.to_string_lossy().into_owned(),
            dependencies: list(package, "dependencies").map(dependency).collect::<Result<_>>()?,
            binaries: targets("bin")?,
            tests: targets("test")?,
        })
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo's metadata has no `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// Forwards cargo's progress, without the line that is printed if there was nothing to build.
fn forward(stderr: impl BufRead) {
    let mut busy = false;
    for line in stderr.lines().map_while(Result::ok) {
        busy = busy || !line.contains("Finished");
        if busy {
            eprintln!("{line}");
        }
    }
}

/// The path of the `kubernix` binary out of cargo's JSON messages.
pub fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == "kubernix")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// `LD_LIBRARY_PATH` without the directories that `cargo run` has added; `None` if none is left.
pub fn library_path(value: &str, target: &Path) -> Option<OsString> {
    let cargos = |path: &Path| {
        path.starts_with(target)
            || path.iter().any(|part| part == "rustlib")
            || path.iter().any(|part| part == "toolchains")
    };
    let own: Vec<PathBuf> = std::env::split_paths(value).filter(|path| !cargos(path)).collect();
    if own.is_empty() { None } else { std::env::join_paths(own).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"kubernix"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"kubernix"},"executable":"/t/x86/release/kubernix"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/x86/release/kubernix")));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn only_cargos_library_directories_are_removed() {
        let value = "/c/target/debug/deps:/c/target/debug:/r/toolchains/stable/lib/rustlib/x/lib:/opt/mine";
        assert_eq!(library_path(value, Path::new("/c/target")), Some("/opt/mine".into()));
        assert_eq!(library_path("/c/target/debug", Path::new("/c/target")), None);
    }

    #[test]
    fn members_are_read_from_the_metadata() {
        let metadata = serde_json::json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": [{
                "name": "kubernix-etcd", "version": "1.2.3", "manifest_path": "/w/components/etcd/Cargo.toml",
                "dependencies": [{ "name": "kubernix-core", "kind": null }, { "name": "kubernix-testkit", "kind": "dev" }],
                "targets": [
                    { "kind": ["lib"], "name": "kubernix_etcd", "test": true },
                    { "kind": ["bin"], "name": "etcd-tool", "test": true },
                    { "kind": ["bin"], "name": "waits-for-ever", "test": false },
                    { "kind": ["test"], "name": "plan", "test": true },
                    { "kind": ["test"], "name": "libraries", "test": true, "required-features": ["libraries"] },
                ],
            }],
        });
        let workspace = Workspace::parse(&metadata).unwrap();
        let etcd = workspace.package("kubernix-etcd").unwrap();
        assert_eq!((etcd.folder.as_str(), etcd.version.as_str()), ("components/etcd", "1.2.3"));
        assert_eq!(etcd.dependencies, [("kubernix-core".to_owned(), false), ("kubernix-testkit".to_owned(), true)]);
        assert_eq!(
            (etcd.binaries.as_slice(), etcd.tests.as_slice()),
            (&["etcd-tool".to_owned()][..], &["plan".to_owned()][..])
        );
        assert!(workspace.package("other").unwrap_err().to_string().contains("`other`"));
    }
}
