//! `plugin new`: creates the crate of a new component.

use super::App;
use crate::scaffold::{self, CreatedCrate};
use crate::{output, registry};
use anyhow::{Context, Result};

impl App {
    pub(super) fn plugin_new(&self, name: &str, role: Option<&str>) -> Result<()> {
        let here = std::env::current_dir().context("can't find the current directory")?;
        let built_in = registry::components()?;
        let reserved: Vec<&str> = built_in.iter().map(|component| component.name()).collect();
        let made = scaffold::create(&here, name, role, &reserved, &self.program_elsewhere())?;
        output::show(self.output(), &made, next)
    }

    /// The command by which the user calls this program from another directory.
    fn program_elsewhere(&self) -> String {
        if self.program.starts_with('/') || !self.program.contains('/') {
            return self.program.clone();
        }
        std::env::current_exe()
            .map_or_else(|_| self.program.clone(), |path| kubernix_host::cluster::quoted(&path.to_string_lossy()))
    }
}

/// The text for a created crate, with the next commands.
fn next(made: &CreatedCrate) -> String {
    let mut text = format!("{} fills `{}`, in {}. Next:\n\n", made.name, made.role, made.directory.display());
    text.push_str(&format!("  cd {}\n", kubernix_host::cluster::quoted(&made.name)));
    made.next.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}
