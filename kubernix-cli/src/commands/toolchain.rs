//! `toolchain ensure` and `list`: the binaries that clusters run.

use super::App;
use crate::cli::{BootArgs, PluginSearch};
use crate::output::{self, Table};
use crate::progress::Progress;
use anyhow::Result;
use kubernix_host::toolchain::{self, Known, Resolution};

impl App {
    pub(super) fn toolchain_ensure(&self, args: &BootArgs, more: &[String]) -> Result<()> {
        let resolved = self.resolve(args)?;
        let host = self.host(&resolved.settings)?;
        resolved.validate(&host.catalogue())?;
        let progress = Progress::new(&self.flags);
        let resolution = host.tools(&resolved.settings, more, &*progress);
        progress.finish();
        output::show(self.output(), &resolution?, found)
    }

    pub(super) fn toolchain_list(&self) -> Result<()> {
        let table = self.gather(&PluginSearch::default())?.table;
        output::show(self.output(), &toolchain::known(&table), |tools| known(tools))
    }
}

fn found(resolution: &Resolution) -> Table {
    resolution.tools.values().fold(Table::new(&["TOOL", "VERSION", "FROM", "PATH"]), |table, tool| {
        table.row([tool.name.clone(), tool.version.clone(), tool.provider.clone(), tool.path.display().to_string()])
    })
}

fn known(tools: &[Known]) -> Table {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    tools.iter().fold(Table::new(&["TOOL", "BUILT", "ACCEPTED", "KNOWN FROM", "PROGRAMS"]), |table, tool| {
        let from = tool.manifest.as_ref().map_or_else(|| "kubernix".to_owned(), |path| path.display().to_string());
        let (version, requires) = (or_dash(&tool.version), or_dash(&tool.requires));
        table.row([tool.name.clone(), version, requires, from, tool.programs.join(", ")])
    })
}
