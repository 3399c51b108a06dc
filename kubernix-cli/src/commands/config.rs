//! `config show`, `schema` and `validate`: every setting with the origin of its value, the schema
//! of a configuration file, and the errors in one.

use super::App;
use crate::cli::BootArgs;
use crate::exit::Exit;
use crate::output::{self, Table};
use anyhow::{Context, Result};
use kubernix_host::settings::{self, CheckedFile, Finding, Partial, Row};
use serde::Serialize;
use std::env;
use std::path::Path;
use std::process::ExitCode;

/// The output of `config validate`.
#[derive(Serialize)]
struct Validation<'a> {
    file: &'a Path,
    valid: bool,
    findings: Vec<Finding>,
}

impl App {
    pub(super) fn config_show(&self, args: &BootArgs, all: bool) -> Result<()> {
        let resolved = self.resolve(args)?;
        let catalogue = self.host(&resolved.settings)?.catalogue();
        resolved.validate(&catalogue)?;
        let rows = if all { settings::show_all(&resolved, &catalogue) } else { settings::show(&resolved) };
        output::show(self.output(), &rows, |rows| table(rows))
    }

    /// Prints the schema with the components that the current settings find. It is JSON in either
    /// format.
    pub(super) fn config_schema(&self) -> Result<()> {
        let resolved = self.resolve(&BootArgs::default())?;
        let schema = settings::schema(&self.host(&resolved.settings)?.catalogue());
        output::print(serde_json::to_string_pretty(&schema)?)
    }

    pub(super) fn config_validate(&self, file: &Path) -> Result<ExitCode> {
        let cwd = env::current_dir().context("can't find the working directory")?;
        let checked = CheckedFile::read(file)?;
        let settings = checked.settings(Partial::from_env(env::vars_os())?, &cwd)?;
        let findings = checked.findings(&self.host(&settings)?.catalogue());
        let exit = if findings.is_empty() { Exit::Ok } else { Exit::Usage };
        let validation = Validation { file, valid: findings.is_empty(), findings };
        output::show(self.output(), &validation, text)?;
        Ok(exit.into())
    }
}

/// One finding a line, in the form that editors and CI know: `FILE:LINE:COLUMN: MESSAGE`.
fn text(validation: &Validation<'_>) -> String {
    let file = validation.file.display();
    if validation.valid {
        return format!("{file} is valid");
    }
    let line = |Finding { line, column, message }: &Finding| format!("{file}:{line}:{column}: {message}");
    validation.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn table(rows: &[Row]) -> Table {
    // Only parameters of components have a description of valid values.
    if rows.iter().all(|row| row.fits.is_empty()) {
        return rows.iter().fold(Table::new(&["KEY", "VALUE", "FROM"]), |table, row| {
            table.row([row.key.clone(), row.value.clone(), row.origin.to_string()])
        });
    }
    rows.iter().fold(Table::new(&["KEY", "VALUE", "FROM", "FITS"]), |table, row| {
        table.row([row.key.clone(), row.value.clone(), row.origin.to_string(), row.fits.clone()])
    })
}
