//! `version`, `completions` and `man`: information about the program itself.

use super::App;
use crate::cli::Cli;
use crate::{output, reference};
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;
use std::path::Path;

impl App {
    pub(super) fn version(&self) -> Result<()> {
        let (own, contract) = (env!("CARGO_PKG_VERSION"), kubernix_core::VERSION);
        output::show(self.output(), &json!({ "version": own, "contract": contract }), |_| {
            format!("kubernix {own} (component contract {contract})")
        })
    }

    pub(super) fn completions(&self, shell: Shell) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "kubernix", &mut script);
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
