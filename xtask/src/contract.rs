//! `cargo xtask contract`: keeps what was released of the contract, for later ones to be held
//! against. Releasing it to others is not its business.

use crate::run;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;

/// The contract's package.
const CONTRACT: &str = "kubernix-core";
/// Where released ones are kept.
const RELEASED: &str = "tests/contract/released";

/// What to do with the contract.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Keep this checkout's contract as released, as the package that a registry would get.
    Release {
        /// Replace what is kept of this version: only as long as it isn't published.
        #[arg(long)]
        replace: bool,
    },
}

/// Does it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Action::Release { replace } = args.action;
    let workspace = Workspace::load()?;
    let version = &workspace.package(CONTRACT)?.version;
    let name = format!("{CONTRACT}-{version}.crate");
    let kept = workspace.root.join(RELEASED).join(&name);
    refuse_released(&kept, version, replace)?;
    let target = workspace.scratch("contract")?;
    // Refuses what isn't committed, so that the package says which commit it is.
    let mut package = run::cargo();
    package.args(["package", "--locked", "--offline", "--no-verify", "--package", CONTRACT, "--target-dir"]);
    run::checked(package.arg(&target).current_dir(&workspace.root))?;
    let made = target.join("package").join(&name);
    std::fs::copy(&made, &kept).with_context(|| format!("can't copy {} to {}", made.display(), kept.display()))?;
    println!("{RELEASED}/{name}: commit it; from now on {version} is what plugins rely on");
    Ok(ExitCode::SUCCESS)
}

fn refuse_released(kept: &Path, version: &str, replace: bool) -> Result<()> {
    if kept.exists() && !replace {
        bail!(
            "contract {version} is released already: raise the version in {CONTRACT}/Cargo.toml, or, if it isn't published yet, \
             give --replace"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_is_replaced_only_on_purpose() {
        let here =
            Path::new(file!()).file_name().map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name));
        let (kept, none) = (here.unwrap(), Path::new("/nonexistent/x.crate"));
        let refused = refuse_released(&kept, "1.0.0", false).unwrap_err().to_string();
        assert!(
            refused.starts_with("contract 1.0.0 is released already: raise the version in kubernix-core/"),
            "{refused}"
        );
        assert!(refuse_released(&kept, "1.0.0", true).is_ok() && refuse_released(none, "1.0.0", false).is_ok());
    }
}
