//! `cargo xtask plugin`: components of this checkout as shared libraries, each with its manifest beside it.

use crate::run;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a plugin's package is named.
const PREFIX: &str = "kubernix-plugin-";
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
    for library in build(&workspace, names)? {
        println!("{}", library.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The components that can be built as plugins, by name.
pub fn names(workspace: &Workspace) -> Vec<&str> {
    workspace.packages.iter().filter_map(|package| package.name.strip_prefix(PREFIX)).collect()
}

/// Builds these plugins (none named: all) and puts each beside its manifest. Returns the libraries' paths.
pub fn build(workspace: &Workspace, wanted: &[String]) -> Result<Vec<PathBuf>> {
    let known = names(workspace);
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no plugin `{unknown}`, there is {}", known.join(", "));
    }
    let chosen: Vec<&str> =
        known.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|w| w == name)).collect();
    let mut cargo = run::cargo();
    cargo.args(["build", "--profile", PROFILE]).current_dir(&workspace.root);
    cargo.args(chosen.iter().map(|name| format!("--package={PREFIX}{name}")));
    run::checked(&mut cargo)?;
    let folder = workspace.target.join("plugins");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    chosen.into_iter().map(|name| place(workspace, name, &folder)).collect()
}

/// By rename: a cluster may have the old library loaded.
fn place(workspace: &Workspace, name: &str, folder: &Path) -> Result<PathBuf> {
    // As cargo names it: a crate has no dashes.
    let library = format!("lib{}.so", name.replace('-', "_"));
    let manifest = format!("{name}.toml");
    let package = &workspace.package(&format!("{PREFIX}{name}"))?.folder;
    let sources = [(workspace.target.join(PROFILE), &library), (workspace.root.join(package), &manifest)];
    for (from, file) in sources {
        let (from, to, new) = (from.join(file), folder.join(file), folder.join(format!(".{file}.new")));
        fs::copy(&from, &new).with_context(|| format!("can't copy {}", from.display()))?;
        fs::rename(&new, &to).with_context(|| format!("can't write {}", to.display()))?;
    }
    Ok(folder.join(library))
}
