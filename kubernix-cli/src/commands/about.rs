//! `version`, `completions` and `man`: information about the program itself.

use super::App;
use crate::cli::Cli;
use crate::{output, reference, registry};
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;
use kubernix_host::plugins::{Registry, Search};
use kubernix_host::{graph, settings};
use serde_json::json;
use std::path::Path;

/// The name of the option that fills slots and sets parameters.
const SET: &str = "set";

/// A command line whose option `--set`, in every command that has it, completes to these forms.
fn with_set_forms(mut command: clap::Command, forms: &[&'static str]) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |command| with_set_forms(command, forms));
    }
    if command.get_arguments().any(|argument| argument.get_id() == SET) {
        let parser = PossibleValuesParser::new(forms.iter().copied());
        command = command.mut_arg(SET, |argument| argument.value_parser(parser));
    }
    command
}

impl App {
    pub(super) fn version(&self) -> Result<()> {
        let (own, contract) = (env!("CARGO_PKG_VERSION"), kubernix_core::VERSION);
        output::show(self.output(), &json!({ "version": own, "contract": contract }), |_| {
            format!("kubernix {own} (component contract {contract})")
        })
    }

    pub(super) fn completions(&self, shell: Shell) -> Result<()> {
        let registry = Registry::gather(registry::components()?, &Search::of_process(Vec::new(), None));
        let tools = registry.table.tool.keys().cloned().collect();
        let forms = settings::set_forms(&graph::catalogue(&registry.components, tools));
        // clap takes texts that live as long as the program, which ends after this.
        let forms: Vec<&str> = forms.into_iter().map(|form| &*form.leak()).collect();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut with_set_forms(Cli::command(), &forms), "kubernix", &mut script);
        output::print(String::from_utf8_lossy(&script))
    }

    /// Prints the page of `kubernix` itself, or writes all pages into a directory.
    pub(super) fn man(&self, directory: Option<&Path>) -> Result<()> {
        let commands = reference::commands();
        let Some(directory) = directory else {
            let page = reference::man::page(&commands[0]).context("can't render the man page")?;
            return output::print(String::from_utf8_lossy(&page));
        };
        let pages = reference::man::write(&commands, directory)
            .with_context(|| format!("can't write man pages into {}", directory.display()))?;
        output::show(self.output(), &json!({ "directory": directory, "pages": pages }), |_| {
            format!("{} man pages written to {}", pages.len(), directory.display())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_their_values_are_completed_where_they_can_be_set() {
        let mut script = Vec::new();
        let mut command = with_set_forms(Cli::command(), &["crio.log-level=debug"]);
        clap_complete::generate(Shell::Bash, &mut command, "kubernix", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.matches("crio.log-level=debug").count() > 1, "{script}");
    }
}
