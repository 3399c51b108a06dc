//! `version` and `completions`: the command about itself.

use super::App;
use crate::cli::Cli;
use crate::output;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

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
}
