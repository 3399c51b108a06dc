//! `cargo xtask cluster ...`: the `kubernix` of this checkout, as if it were installed.

use crate::workspace::{Profile, Workspace, library_path};
use crate::{plugin, run};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

/// The arguments for `kubernix`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// A command of `kubernix` and its arguments: up, status, kubectl, shell, enter, logs, stop,
    /// down, list, ...
    ///
    /// `--plugins all` (or names, separated by commas) builds `kubernix` without these components,
    /// and loads them as plugins.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Builds `kubernix` and executes it in place of this process.
pub fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let (mut args, plugins) = split(&args.args)?;
    let kubernix = match plugins {
        None => workspace.build(Profile::Quick)?,
        Some(names) => {
            let kubernix = workspace.build_without(Profile::Quick, &names)?;
            let libraries = plugin::build(&workspace, Profile::Quick, &kubernix, &names)?;
            args.extend(libraries.into_iter().flat_map(|path| [OsString::from("--plugin"), path.into()]));
            kubernix
        }
    };
    let mut command = run::command(&kubernix);
    command.args(&args);
    // Clusters and shells must not get the variables that `cargo run` sets.
    run::remove_cargo_variables(&mut command);
    if let Ok(value) = std::env::var("LD_LIBRARY_PATH") {
        match library_path(&value, &workspace.target) {
            Some(own) => command.env("LD_LIBRARY_PATH", own),
            None => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    let error = command.exec();
    Err(error).with_context(|| format!("can't run {}", kubernix.display()))
}

/// Splits the arguments into those for `kubernix`, and the names of components to load as plugins.
/// An empty list means all.
fn split(args: &[OsString]) -> Result<(Vec<OsString>, Option<Vec<String>>)> {
    const FLAG: &str = "--plugins";
    let own = args
        .iter()
        .take_while(|arg| *arg != "--")
        .position(|arg| arg.to_str().is_some_and(|arg| arg == FLAG || arg.starts_with(&format!("{FLAG}="))));
    let Some(at) = own else { return Ok((args.to_vec(), None)) };
    let mut rest = args.to_vec();
    let flag = rest.remove(at);
    let value = match flag.to_string_lossy().split_once('=') {
        Some((_, value)) => value.to_owned(),
        None if at < rest.len() => rest.remove(at).to_string_lossy().into_owned(),
        None => bail!("{FLAG} needs a value: `all`, or names of components separated by commas"),
    };
    let names = if value == "all" { Vec::new() } else { value.split(',').map(str::to_owned).collect() };
    Ok((rest, Some(names)))
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
    fn only_the_plugins_flag_is_removed() {
        let split = |words: &[&str]| split(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let words = |rest: Vec<OsString>| rest.iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>();
        let (rest, names) = split(&["up", "--plugins", "crio,etcd", "--name", "a"]).unwrap();
        assert_eq!((words(rest).join(" "), names), ("up --name a".into(), Some(vec!["crio".into(), "etcd".into()])));
        let (rest, names) = split(&["up", "--plugins=all"]).unwrap();
        assert_eq!((words(rest).join(" "), names), ("up".into(), Some(vec![])));
        let (rest, names) = split(&["kubectl", "--", "--plugins", "x"]).unwrap();
        assert_eq!((words(rest).join(" "), names), ("kubectl -- --plugins x".into(), None));
        assert!(split(&["up", "--plugins"]).is_err());
    }

    #[test]
    fn all_other_arguments_are_passed_on() {
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
