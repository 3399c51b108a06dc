//! `component list` and `component replace`: shows the components of roles, and replaces them while
//! the cluster runs.

use super::App;
use crate::cli::{BootArgs, ReplaceArgs};
use crate::output::{self, Table};
use anyhow::Result;
use kubernix_host::cluster::{Cluster, ComponentStatus, Host};
use kubernix_host::plugins::Source;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;

/// A component and a role that it fills, or could fill.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    role: String,
    component: String,
    version: String,
    source: Source,
    /// The state of the running instance; `chosen` if the next `up` starts it; otherwise
    /// `available`.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

impl App {
    pub(super) fn component_list(&self, args: &BootArgs) -> Result<()> {
        let resolved = self.resolve(args)?;
        let host = self.host_with_warnings(&resolved.settings)?;
        let cluster = Cluster::find(self.named_by(&resolved));
        let running = match cluster {
            Ok(cluster) => cluster.status()?.components,
            Err(_) => Vec::new(),
        };
        let chosen = host.filled(&resolved.settings)?;
        output::show(
            self.output(),
            &rows(&host, &running, |role, name| chosen.get(role).is_some_and(|c| c == name)),
            |rows| table(rows),
        )
    }

    pub(super) fn component_replace(&self, args: &ReplaceArgs) -> Result<()> {
        let mut boot = args.boot.clone();
        boot.sets.set.extend(args.role.iter().zip(&args.component).map(|(role, name)| format!("{role}={name}")));
        let (place, _, seconds) = self.change(&boot, |resolved, progress| {
            let host = self.host(&resolved.settings)?;
            Ok(host.change(resolved, args.component.as_deref(), progress)?)
        })?;
        let what = match (&args.role, &args.component) {
            (Some(role), Some(name)) => format!("`{name}` fills role `{role}` of cluster `{}`", place.name),
            _ => format!("cluster `{}` is changed", place.name),
        };
        let value = json!({ "name": place.name, "role": args.role, "component": args.component, "seconds": seconds });
        output::show(self.output(), &value, |_| format!("{what} after {seconds:.2} s"))
    }
}

/// All roles by name, each with the component that fills it first.
fn rows(host: &Host, running: &[ComponentStatus], fills: impl Fn(&str, &str) -> bool) -> Vec<Row> {
    let components = &host.registry.components;
    let own = components.iter().flat_map(|c| c.description.provides.iter().map(ToString::to_string));
    let roles: BTreeSet<String> = own.chain(running.iter().flat_map(|one| one.roles.iter().cloned())).collect();
    let mut rows = Vec::new();
    for role in roles {
        let filling = running.iter().filter(|one| one.roles.contains(&role));
        let before = rows.len();
        rows.extend(filling.map(|one| Row {
            role: role.clone(),
            component: one.component.clone(),
            version: one.version.clone(),
            source: one.source.clone(),
            state: one.state.to_string(),
            instance: Some(one.instance.clone()),
        }));
        let listed: Vec<String> = rows[before..].iter().map(|row| row.component.clone()).collect();
        let others = components.iter().filter(|c| c.provides(&role) && !listed.iter().any(|name| name == c.name()));
        let mut others: Vec<Row> = others
            .map(|c| Row {
                role: role.clone(),
                component: c.name().to_owned(),
                version: c.version.clone(),
                source: c.source.clone(),
                state: if running.is_empty() && fills(&role, c.name()) { "chosen" } else { "available" }.to_owned(),
                instance: None,
            })
            .collect();
        others.sort_by_key(|row| (row.state != "chosen", row.component.clone()));
        rows.extend(others);
    }
    rows
}

fn table(rows: &[Row]) -> Table {
    rows.iter().fold(Table::new(&["ROLE", "COMPONENT", "VERSION", "STATE", "SOURCE"]), |table, row| {
        table.row([
            row.role.clone(),
            row.component.clone(),
            row.version.clone(),
            row.state.clone(),
            row.source.to_string(),
        ])
    })
}
