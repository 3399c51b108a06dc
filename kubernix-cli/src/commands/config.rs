//! `config show`: every setting and where its value came from.

use super::App;
use crate::cli::BootArgs;
use crate::output::{self, Table};
use anyhow::Result;
use kubernix_host::settings::{self, Row};

impl App {
    pub(super) fn config_show(&self, args: &BootArgs, all: bool) -> Result<()> {
        let resolved = self.resolve(args)?;
        let catalogue = self.host(&resolved.settings)?.catalogue();
        resolved.validate(&catalogue)?;
        let rows = if all { settings::show_all(&resolved, &catalogue) } else { settings::show(&resolved) };
        output::show(self.output(), &rows, |rows| table(rows))
    }
}

fn table(rows: &[Row]) -> Table {
    rows.iter().fold(Table::new(&["KEY", "VALUE", "FROM"]), |table, row| {
        table.row([row.key.clone(), row.value.clone(), row.origin.to_string()])
    })
}
