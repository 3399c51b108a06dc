//! `node add`, `remove`, `stop`, `start` and `list`.

use super::App;
use crate::cli::{BootArgs, NodeCommand};
use crate::output::{self, Table};
use crate::progress::Progress;
use anyhow::Result;
use kubernix_host::cluster::Host;
use kubernix_host::settings::Resolved;
use serde_json::json;

impl App {
    pub(super) fn node(&self, command: &NodeCommand) -> Result<()> {
        match command {
            NodeCommand::List => self.node_list(),
            NodeCommand::Add { count } => {
                self.change_nodes("added", |host, resolved, progress| Ok(host.add_nodes(resolved, *count, progress)?))
            }
            NodeCommand::Remove { node } => self.change_nodes("removed", |host, resolved, progress| {
                host.remove_node(resolved, node, progress)?;
                Ok(vec![node.clone()])
            }),
            NodeCommand::Stop { node } => self.change_nodes("stopped", |host, resolved, progress| {
                host.set_node_running(resolved, node, false, progress)?;
                Ok(vec![node.clone()])
            }),
            NodeCommand::Start { node } => self.change_nodes("started", |host, resolved, progress| {
                host.set_node_running(resolved, node, true, progress)?;
                Ok(vec![node.clone()])
            }),
        }
    }

    fn node_list(&self) -> Result<()> {
        let nodes = self.cluster()?.1.nodes()?;
        output::show(self.output(), &nodes, |nodes| {
            let table = Table::new(&["NODE", "STATE", "ADDRESS", "PODS", "ZONE", "CRI"]);
            nodes.iter().fold(table, |table, node| {
                let zone = node.zone.clone().unwrap_or_else(|| "-".to_owned());
                let (state, cri) = (node.state.to_string(), node.cri.clone());
                table.row([node.name.clone(), state, node.ip.clone(), node.pod_cidr.clone(), zone, cri])
            })
        })
    }

    fn change_nodes(
        &self,
        done: &str,
        change: impl Fn(&Host, &mut Resolved, &Progress) -> Result<Vec<String>>,
    ) -> Result<()> {
        let (place, nodes, seconds) = self.change(&BootArgs::default(), |resolved, progress| {
            let host = self.host(&resolved.settings)?;
            change(&host, resolved, progress)
        })?;
        let value = json!({ "name": place.name, "nodes": nodes, "seconds": seconds });
        let names = nodes.join(", ");
        output::show(self.output(), &value, |_| format!("{names}: {done} after {seconds:.2} s"))
    }
}
