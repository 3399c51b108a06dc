//! `cargo xtask contract`: stores released contracts, which the tests compare later ones with. It
//! must not publish them.

use crate::run;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;

/// The contract's package.
const CONTRACT: &str = "kubernix-core";
/// The folder of released contracts.
const RELEASED: &str = "tests/contract/released";

/// What to do with the contract.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Store this checkout's contract as released, as the package for a registry.
    Release {
        /// Replace the stored release of this version. Only for versions that aren't published.
        #[arg(long)]
        replace: bool,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Action::Release { replace } = args.action;
    let workspace = Workspace::load()?;
    let version = &workspace.package(CONTRACT)?.version;
    let name = format!("{CONTRACT}-{version}.crate");
    let kept = workspace.root.join(RELEASED).join(&name);
    check_not_released(&kept, version, replace)?;
    let target = workspace.scratch("contract")?;
    // Fails if there are uncommitted changes: the package records its commit.
    let mut package = run::cargo();
    package.args(["package", "--locked", "--offline", "--no-verify", "--package", CONTRACT, "--target-dir"]);
    run::checked(package.arg(&target).current_dir(&workspace.root))?;
    let made = target.join("package").join(&name);
    std::fs::copy(&made, &kept).with_context(|| format!("can't copy {} to {}", made.display(), kept.display()))?;
    println!("{RELEASED}/{name}: commit it; from now on, plugins rely on {version}");
    Ok(ExitCode::SUCCESS)
}

fn check_not_released(kept: &Path, version: &str, replace: bool) -> Result<()> {
    if kept.exists() && !replace {
        bail!(
            "contract {version} is released already: raise the version in {CONTRACT}/Cargo.toml, or, if it isn't \
             published yet, give --replace"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_replaced_only_with_the_flag() {
        let here =
            Path::new(file!()).file_name().map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name));
        let (kept, none) = (here.unwrap(), Path::new("/nonexistent/x.crate"));
        let refused = check_not_released(&kept, "1.0.0", false).unwrap_err().to_string();
        assert!(
            refused.starts_with("contract 1.0.0 is released already: raise the version in kubernix-core/"),
            "{refused}"
        );
        assert!(check_not_released(&kept, "1.0.0", true).is_ok() && check_not_released(none, "1.0.0", false).is_ok());
    }
}
