//! `cargo xtask plugin`: components of this checkout as shared libraries, each with its manifest
//! beside it.

use crate::workspace::{Profile, Workspace};
use crate::{components, run};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The feature with which a component exports itself.
const FEATURE: &str = "plugin";

/// The profile of plugins for a `kubernix` of this profile, and cargo's folder for it.
fn profile_of(kubernix: Profile) -> (&'static str, &'static str) {
    match kubernix {
        // The optimizations of shipped plugins take minutes.
        Profile::Dev => ("dev", "debug"),
        Profile::Quick => ("quick", "quick"),
        Profile::Release => ("plugin", "plugin"),
    }
}

/// What to do with plugins.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Build components as shared libraries: those named, or all.
    Build {
        /// Names of components.
        names: Vec<String>,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Action::Build { names } = &args.action;
    let workspace = Workspace::load()?;
    for library in build(&workspace, Profile::Release, &workspace.build(Profile::Quick)?, names)? {
        println!("{}", library.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds these components (none named: all) as shared libraries. `kubernix` writes the manifest of
/// each beside it. Returns the paths of the libraries.
pub fn build(workspace: &Workspace, profile: Profile, kubernix: &Path, wanted: &[String]) -> Result<Vec<PathBuf>> {
    let known = components::names(workspace);
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no component `{unknown}`, there is {}", known.join(", "));
    }
    let chosen = known.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == name));
    let folder = workspace.target.join("plugins");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    chosen.map(|name| library(workspace, profile, kubernix, name, &folder)).collect()
}

fn library(workspace: &Workspace, profile: Profile, kubernix: &Path, name: &str, folder: &Path) -> Result<PathBuf> {
    let (profile, subfolder) = profile_of(profile);
    let package = components::package(name);
    let mut cargo = run::cargo();
    cargo.args(["rustc", "--lib", "--crate-type=cdylib", "--features", FEATURE, "--profile", profile]);
    run::checked(cargo.arg(format!("--package={package}")).current_dir(&workspace.root))?;
    // The file name that cargo gives it: crates have no dashes.
    let file = |name: &str| format!("lib{}.so", name.replace('-', "_"));
    let built = workspace.target.join(subfolder).join(file(&package));
    let library = folder.join(file(name));
    // By rename, because a cluster may have loaded the old library.
    let new = library.with_extension("so.new");
    fs::copy(&built, &new).with_context(|| format!("can't copy {}", built.display()))?;
    fs::rename(&new, &library).with_context(|| format!("can't write {}", library.display()))?;
    run::output(run::command(kubernix).args(["plugin", "manifest", "--write"]).arg(&library))?;
    Ok(library)
}
