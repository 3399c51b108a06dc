//! `cargo xtask plugin`: components of this checkout as shared libraries, each with its manifest beside it.

use crate::workspace::Workspace;
use crate::{components, run};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The feature with which a component exports itself.
const FEATURE: &str = "plugin";
/// The profile that plugins are built in: cargo names a folder after it.
const PROFILE: &str = "plugin";

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

/// Does it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Action::Build { names } = &args.action;
    let workspace = Workspace::load()?;
    for library in build(&workspace, &workspace.build()?, names)? {
        println!("{}", library.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds these components (none named: all) as shared libraries. `kubernix` writes the manifest of each beside it. Returns
/// the paths of the libraries.
pub fn build(workspace: &Workspace, kubernix: &Path, wanted: &[String]) -> Result<Vec<PathBuf>> {
    let known = components::names(workspace);
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no component `{unknown}`, there is {}", known.join(", "));
    }
    let chosen = known.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == name));
    let folder = workspace.target.join("plugins");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    chosen.map(|name| library(workspace, kubernix, name, &folder)).collect()
}

fn library(workspace: &Workspace, kubernix: &Path, name: &str, folder: &Path) -> Result<PathBuf> {
    let package = components::package(name);
    let mut cargo = run::cargo();
    cargo.args(["rustc", "--lib", "--crate-type=cdylib", "--features", FEATURE, "--profile", PROFILE]);
    run::checked(cargo.arg(format!("--package={package}")).current_dir(&workspace.root))?;
    // As cargo names it: a crate has no dashes.
    let file = |name: &str| format!("lib{}.so", name.replace('-', "_"));
    let built = workspace.target.join(PROFILE).join(file(&package));
    let library = folder.join(file(name));
    // By rename: a cluster may have the old library loaded.
    let new = library.with_extension("so.new");
    fs::copy(&built, &new).with_context(|| format!("can't copy {}", built.display()))?;
    fs::rename(&new, &library).with_context(|| format!("can't write {}", library.display()))?;
    run::output(run::command(kubernix).args(["plugin", "manifest", "--write"]).arg(&library))?;
    Ok(library)
}
