//! The reference of all commands, derived from clap's definitions: man pages and `docs/cli.md`.
//!
//! A new command needs no change here. Only `markdown` knows commands by name, to link documents.

pub mod man;
#[cfg(test)]
mod markdown;
#[cfg(test)]
mod tests;

use crate::cli::Cli;
use clap::{Command, CommandFactory};

/// All visible commands, `kubernix` itself first, each followed by its subcommands. Each command is
/// complete: it has the global options, and its full name (`kubernix node add`) as its name.
pub fn commands() -> Vec<Command> {
    let mut root = Cli::command().bin_name("kubernix");
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    commands
}

fn collect(command: &Command, commands: &mut Vec<Command>) {
    commands.push(command.clone());
    let visible = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    command.get_subcommands().filter(visible).for_each(|command| collect(command, commands));
}
