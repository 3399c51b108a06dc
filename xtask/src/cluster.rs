//! `cargo xtask cluster ...`: the `kubernix` of this checkout, as if it were installed.

use crate::run;
use crate::workspace::{Workspace, library_path};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

/// What goes to `kubernix`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// A command of `kubernix` and its arguments: up, status, kubectl, shell, enter, logs, stop, down, list, ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Builds `kubernix` and becomes it: signals, terminal and exit code are its own.
pub fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let kubernix = workspace.build()?;
    let mut command = run::command(&kubernix);
    command.args(&args.args);
    // What `cargo run` sets for xtask is nobody's business in a cluster, or in its shell.
    run::forget_cargo(&mut command);
    if let Ok(value) = std::env::var("LD_LIBRARY_PATH") {
        match library_path(&value, &workspace.target) {
            Some(own) => command.env("LD_LIBRARY_PATH", own),
            None => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    let error = command.exec();
    Err(error).with_context(|| format!("can't run {}", kubernix.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn every_word_goes_through() {
        let words = [
            &["up", "--name", "a"][..],
            &["--help"],
            &["kubectl", "--", "get", "-h"],
            &["kubectl", "--name=a", "--", "x"],
            &[],
        ];
        for words in words {
            let parsed = Cli::try_parse_from(std::iter::once(&"cluster").chain(words)).map(|cli| cli.args.args);
            assert_eq!(parsed.unwrap(), words, "{words:?}");
        }
    }
}
