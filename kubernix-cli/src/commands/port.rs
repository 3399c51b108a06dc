//! `port add`, `remove` and `list`: host ports forwarded to node ports.

use super::App;
use crate::output::{self, Table};
use anyhow::Result;
use kubernix_host::cluster::PublishedPort;
use kubernix_host::network::Published;
use kubernix_host::network::publish::PortSelector;
use serde::Serialize;

/// A published port, as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    host: String,
    target: String,
    protocol: String,
    /// The argument of `port add` and `port remove`.
    spec: String,
}

impl From<PublishedPort> for Row {
    fn from(port: PublishedPort) -> Self {
        Self {
            host: port.host.to_string(),
            target: port.target.to_string(),
            protocol: port.protocol.to_string(),
            spec: port.spec.to_string(),
        }
    }
}

impl App {
    pub(super) fn port_add(&self, ports: &[Published]) -> Result<()> {
        let (place, cluster) = self.running()?;
        let new = cluster.publish(ports)?;
        if new.is_empty() {
            log::info!("cluster `{}` publishes these ports already", place.name);
        }
        self.show_ports(new, |row| format!("{} forwards to {} ({})\n", row.host, row.target, row.protocol))
    }

    pub(super) fn port_remove(&self, ports: &[PortSelector]) -> Result<()> {
        let (_, cluster) = self.running()?;
        let removed = cluster.unpublish(ports)?;
        self.show_ports(removed, |row| format!("{} ({}) is no longer published\n", row.host, row.protocol))
    }

    pub(super) fn port_list(&self) -> Result<()> {
        let (place, cluster) = self.cluster()?;
        let ports = cluster.ports()?;
        match (ports.is_empty(), cluster.is_running()) {
            (true, _) => log::info!("cluster `{}` publishes no ports", place.name),
            (false, false) => {
                log::info!(
                    "cluster `{}` is stopped: `{}` publishes these ports again",
                    place.name,
                    self.call("up", &place)
                );
            }
            (false, true) => {}
        }
        let rows: Vec<Row> = ports.into_iter().map(Row::from).collect();
        output::show(self.output(), &rows, |rows| if rows.is_empty() { String::new() } else { table(rows).to_string() })
    }

    fn show_ports(&self, ports: Vec<PublishedPort>, line: fn(&Row) -> String) -> Result<()> {
        let rows: Vec<Row> = ports.into_iter().map(Row::from).collect();
        output::show(self.output(), &rows, |rows| rows.iter().map(line).collect::<String>())
    }
}

fn table(rows: &[Row]) -> Table {
    rows.iter().fold(Table::new(&["HOST", "TARGET", "PROTOCOL"]), |table, row| {
        table.row([row.host.clone(), row.target.clone(), row.protocol.clone()])
    })
}
