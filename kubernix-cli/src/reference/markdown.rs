//! `docs/cli.md`: the commands as Markdown. Options that several commands share are listed once.

use crate::exit::Exit;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write;

/// What comes before the commands.
const HEAD: &str = include_str!("head.md");

/// Documents about the subject of a command, by the command's name.
pub(super) const DOCUMENTS: &[(&str, &str)] = &[
    ("kubernix up", "state.md"),
    ("kubernix rename", "state.md#names-and-ids"),
    ("kubernix component", "components.md"),
    ("kubernix addon", "addons.md"),
    ("kubernix node", "nodes.md"),
    ("kubernix port", "network.md#published-ports"),
    ("kubernix kubeconfig", "kubeconfig.md"),
    ("kubernix image", "images.md"),
    ("kubernix snapshot", "state.md#snapshots"),
    ("kubernix config", "configuration.md"),
    ("kubernix toolchain", "installation.md#binaries"),
    ("kubernix plugin", "plugins.md"),
    ("kubernix plugin check", "conformance.md"),
];

/// Renders all commands, `kubernix` itself first.
pub fn page(commands: &[Command]) -> String {
    let (root, others) = commands.split_first().expect("kubernix itself is a command");
    let mut text = HEAD.trim_end().to_owned();
    text.push_str("\n\n## All commands\n\n| command | what it does |\n|---|---|\n");
    for command in commands.iter().filter(|command| !command.is_subcommand_required_set()) {
        let name = name(command);
        let _ = writeln!(text, "| [`{name}`](#{}) | {} |", anchor(name), about(command));
    }
    let _ = write!(text, "\n## {}\n\n{}\n", name(root), long_about(root));
    text.push_str("\n## Global options\n\nEvery command has them.\n\n");
    root.get_arguments().filter(|arg| arg.is_global_set()).for_each(|arg| item(&mut text, arg));
    for heading in headings(root) {
        let _ = write!(text, "\n## {heading}\n\n");
        root.get_arguments().filter(|arg| arg.get_help_heading() == Some(heading)).for_each(|arg| item(&mut text, arg));
    }
    others.iter().for_each(|command| section(&mut text, root, command));
    text.push_str("\n## Exit codes\n\n");
    Exit::ALL.iter().for_each(|exit| {
        let _ = writeln!(text, "- {}: {}", exit.code(), exit.meaning());
    });
    text.push_str("\n[exit-codes.md](exit-codes.md) says more about each.\n");
    text
}

/// A command with its own arguments, and links to those that it shares with others.
fn section(text: &mut String, root: &Command, command: &Command) {
    let full = name(command);
    let level = "#".repeat(full.split(' ').count());
    let _ = write!(text, "\n{level} {full}\n\n{}.\n", long_about(command));
    if let Some((_, document)) = DOCUMENTS.iter().find(|(name, _)| *name == full) {
        let _ = write!(text, "\nMore: [{document}]({document})\n");
    }
    if command.is_subcommand_required_set() {
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let _ = write!(text, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    let shared = headings(root);
    let is_shared = |arg: &&Arg| arg.get_help_heading().is_some_and(|heading| shared.contains(&heading));
    let own: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_global_set() && !is_shared(arg)).collect();
    if own.iter().any(|arg| is_listed(arg)) {
        text.push('\n');
        own.into_iter().for_each(|arg| item(text, arg));
    }
    for heading in shared.iter().filter(|heading| headings(command).contains(*heading)) {
        let _ = write!(text, "\nIt also has the options of [{heading}](#{}).\n", anchor(heading));
    }
}

/// An argument as an item of a list.
fn item(text: &mut String, arg: &Arg) {
    if !is_listed(arg) {
        return;
    }
    let values: String = arg.get_value_names().unwrap_or_default().join(" ");
    let takes_value = arg.get_action().takes_values();
    let mut forms = Vec::new();
    forms.extend(arg.get_short().map(|short| format!("`-{short}`")));
    forms.extend(arg.get_long().map(|long| match takes_value {
        true if arg.is_require_equals_set() => format!("`--{long}[={values}]`"),
        true => format!("`--{long} {values}`"),
        false => format!("`--{long}`"),
    }));
    if arg.is_positional() {
        forms.push(format!("`{values}`"));
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "- {}: {help}", forms.join(", "));
    let possible: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !possible.is_empty() && !arg.is_hide_possible_values_set() {
        let _ = write!(text, "; one of {}", possible.join(", "));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !defaults.is_empty() {
        let _ = write!(text, " [default: {}]", defaults.join(", "));
    }
    text.push('\n');
}

/// Whether an argument is worth a line: not hidden, and not `--help`, which every command has.
fn is_listed(arg: &Arg) -> bool {
    let own = !matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong);
    own && !arg.is_hide_set()
}

/// The headings of options, each once.
fn headings(command: &Command) -> Vec<&str> {
    let mut headings = Vec::new();
    for heading in command.get_arguments().filter_map(Arg::get_help_heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings
}

fn name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

fn about(command: &Command) -> String {
    command.get_about().map(|text| text.to_string().replace('|', "\\|")).unwrap_or_default()
}

fn long_about(command: &Command) -> String {
    command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default()
}

/// The anchor of a heading on GitHub.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}
