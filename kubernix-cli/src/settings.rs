//! Converts flags into settings, and has the host resolve them.

use crate::cli::{BootArgs, Global, Sets};
use anyhow::{Context, Result};
use kubernix_host::settings::{self, Origin, Partial, Place, Resolved};
use std::env;

/// The settings of the flags that every command has.
fn global(flags: &Global) -> Partial {
    Partial { config: flags.config.clone(), ..flags.settings.0.clone() }
}

/// The settings of all flags of a boot.
fn boot(flags: &Global, args: &BootArgs) -> Result<Partial, settings::Error> {
    let Sets { set, cri, datastore, proxy } = &args.sets;
    let shorts = [("cri", cri), ("datastore", datastore), ("proxy", proxy)];
    let shorts = shorts.into_iter().filter_map(|(role, name)| Some((role, name.as_ref()?)));
    let forms = shorts.clone().map(|(role, name)| format!("{role}={name}"));
    let partial = global(flags).with(args.settings.clone());
    let mut partial = partial.with_sets(set.iter().cloned().chain(forms))?;
    // The origin is the typed flag, not its long form.
    for (role, _) in shorts {
        partial.origins.insert(format!("slots.{role}"), Origin::Flag(format!("--{role}")));
    }
    Ok(partial)
}

/// The place of the selected cluster.
pub fn locate(flags: &Global) -> Result<Place> {
    let cwd = env::current_dir().context("can't find the working directory")?;
    Ok(settings::locate(global(flags), Partial::from_env(env::vars_os())?, flags.config.as_deref(), &cwd)?)
}

/// The place of the selected cluster; its name is `default` if no setting has one.
pub fn locate_or(flags: &Global, default: &str) -> Result<Place> {
    let cwd = env::current_dir().context("can't find the working directory")?;
    let variables = Partial::from_env(env::vars_os())?;
    Ok(settings::locate_or(global(flags), variables, flags.config.as_deref(), &cwd, default)?)
}

/// The settings of a cluster.
pub fn resolve(flags: &Global, args: &BootArgs) -> Result<Resolved> {
    settle(flags, boot(flags, args)?)
}

/// The settings of a new cluster that replaces an existing one.
pub fn resolve_fresh(flags: &Global, args: &BootArgs) -> Result<Resolved> {
    settle(flags, Partial { fresh: true, ..boot(flags, args)? })
}

fn settle(flags: &Global, partial: Partial) -> Result<Resolved> {
    let cwd = env::current_dir().context("can't find the working directory")?;
    let variables = Partial::from_env(env::vars_os())?;
    Ok(settings::resolve(partial, variables, flags.config.as_deref(), &cwd)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    #[test]
    fn settings_have_their_flag_as_origin() {
        let args = [
            "kubernix",
            "up",
            "--name=a",
            "--cri",
            "mine",
            "--set",
            "crio.binary=x",
            "--no-install",
            "--cidr=10.1.0.0/16",
        ];
        let cli = Cli::try_parse_from(args).unwrap();
        let Some(Command::Up(args)) = &cli.command else { panic!("not up") };
        let partial = boot(&cli.global, &args.boot).unwrap();
        assert_eq!((partial.name.as_deref(), partial.install), (Some("a"), Some(false)));
        assert_eq!(partial.slots["cri"], "mine");
        assert_eq!(partial.components["crio"]["binary"], "x");
        assert_eq!(partial.origins["slots.cri"], Origin::Flag("--cri".into()));
        assert_eq!(partial.origins["components.crio.binary"], Origin::Flag("--set crio.binary".into()));
    }

    #[test]
    fn settings_without_a_flag_are_unset() {
        let cli = Cli::try_parse_from(["kubernix", "up"]).unwrap();
        let Some(Command::Up(args)) = &cli.command else { panic!("not up") };
        assert_eq!(boot(&cli.global, &args.boot).unwrap(), Partial::default());
    }
}
