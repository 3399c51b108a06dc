//! `addon list`, `add` and `remove`: the addons of a cluster, which change while it runs.

use super::App;
use crate::cli::{AddonArgs, BootArgs};
use crate::exit::{Exit, Refusal};
use crate::output::{self, Table};
use anyhow::Result;
use kubernix_core::Phase;
use kubernix_host::cluster::{Cluster, Host};
use kubernix_host::graph::DEFAULT_ADDONS;
use kubernix_host::plugins::{Registered, Source};
use kubernix_host::settings::{NONE, Resolved, nearest};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

/// An addon that a cluster has or could have.
#[derive(Debug, Serialize)]
struct Row {
    addon: String,
    /// The state of its instance, or `available`.
    state: String,
    roles: Vec<String>,
    source: Source,
}

impl App {
    pub(super) fn addon_list(&self) -> Result<()> {
        let resolved = self.resolve(&BootArgs::default())?;
        let host = self.host_with_warnings(&resolved.settings)?;
        let running = match Cluster::find(self.named_by(&resolved)) {
            Ok(cluster) => cluster.status()?.components,
            Err(_) => Vec::new(),
        };
        let row = |component: &Registered| {
            let one = running.iter().find(|one| one.component == component.name());
            Row {
                addon: component.name().to_owned(),
                state: one.map_or_else(|| "available".to_owned(), |one| one.state.to_string()),
                roles: component.description.provides.iter().map(ToString::to_string).collect(),
                source: component.source.clone(),
            }
        };
        let mut rows: Vec<Row> = addons(&host).map(row).collect();
        rows.sort_by(|a, b| a.addon.cmp(&b.addon));
        output::show(self.output(), &rows, |rows| {
            rows.iter().fold(Table::new(&["ADDON", "STATE", "ROLES", "SOURCE"]), |table, row| {
                table.row([row.addon.clone(), row.state.clone(), row.roles.join(", "), row.source.to_string()])
            })
        })
    }

    pub(super) fn addon_add(&self, args: &AddonArgs) -> Result<()> {
        self.change_addons(args, "added", |app, resolved| {
            let host = app.host(&resolved.settings)?;
            let mut names = chosen(&host, resolved)?;
            for addon in &args.addons {
                match addons(&host).find(|known| known.name() == addon) {
                    Some(known) => names.extend(clear_slots(known, resolved)),
                    None if PathBuf::from(addon).exists() => {
                        let path = std::path::absolute(addon)?;
                        if !resolved.settings.addon_files.contains(&path) {
                            resolved.settings.addon_files.push(path);
                        }
                    }
                    None => {
                        let known = nearest(addon, addons(&host).map(Registered::name));
                        let why = format!("no addon or file `{addon}` is found{known}");
                        return Err(Refusal::error(Exit::Usage, why));
                    }
                }
            }
            resolved.settings.addons = Some(names);
            Ok(())
        })
    }

    pub(super) fn addon_remove(&self, args: &AddonArgs) -> Result<()> {
        self.change_addons(args, "removed", |app, resolved| {
            let host = app.host(&resolved.settings)?;
            let filled = host.filled(&resolved.settings)?;
            let used: Vec<&Registered> =
                addons(&host).filter(|addon| filled.values().any(|name| name == addon.name())).collect();
            let mut names = chosen(&host, resolved)?;
            for name in &args.addons {
                let path = std::path::absolute(name)?;
                let Some(known) = used.iter().find(|one| one.name() == name || one.source.path() == Some(&path)) else {
                    let known = nearest(name, used.iter().map(|one| one.name()));
                    return Err(Refusal::error(Exit::Usage, format!("the cluster has no addon `{name}`{known}")));
                };
                deselect(known, resolved);
                names.retain(|one| one != known.name());
            }
            resolved.settings.addons = Some(names);
            Ok(())
        })
    }

    fn change_addons(
        &self,
        args: &AddonArgs,
        done: &str,
        edit: impl Fn(&Self, &mut Resolved) -> Result<()>,
    ) -> Result<()> {
        let (place, _, seconds) = self.change(&BootArgs::default(), |resolved, progress| {
            edit(self, resolved)?;
            let host = self.host(&resolved.settings)?;
            Ok(host.change(resolved, None, progress)?)
        })?;
        let value = json!({ "name": place.name, "addons": args.addons, "seconds": seconds });
        let names = args.addons.join(", ");
        output::show(self.output(), &value, |_| format!("{names}: {done} after {seconds:.2} s"))
    }
}

fn addons(host: &Host) -> impl Iterator<Item = &Registered> {
    host.registry.components.iter().map(|it| &**it).filter(|it| it.description.phase == Phase::ADDON)
}

/// The built-in addons that these settings select, by name.
fn chosen(host: &Host, resolved: &Resolved) -> Result<Vec<String>> {
    let filled = host.filled(&resolved.settings)?;
    let names = DEFAULT_ADDONS.iter().filter_map(|(role, _)| filled.get(*role));
    Ok(names.filter(|name| *name != NONE).cloned().collect())
}

/// Removes the settings of the slots of an addon's roles. Returns its name, if the setting `addons`
/// must list it.
fn clear_slots(addon: &Registered, resolved: &mut Resolved) -> Option<String> {
    for role in &addon.description.provides {
        resolved.settings.slots.remove(role.as_str());
    }
    is_listed(addon).then(|| addon.name().to_owned())
}

/// Changes the settings so that they don't select an addon any more.
fn deselect(addon: &Registered, resolved: &mut Resolved) {
    if let Source::Manifests { path } = &addon.source {
        resolved.settings.addon_files.retain(|file| file != path);
        return;
    }
    for role in &addon.description.provides {
        if is_listed(addon) {
            resolved.settings.slots.remove(role.as_str());
        } else {
            resolved.settings.slots.insert(role.to_string(), NONE.to_owned());
        }
    }
}

/// Whether the setting `addons` selects this addon. Other addons are selected if they are found.
fn is_listed(addon: &Registered) -> bool {
    DEFAULT_ADDONS.iter().any(|(role, _)| addon.provides(role))
}
