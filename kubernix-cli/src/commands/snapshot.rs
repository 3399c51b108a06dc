//! `snapshot save`, `restore` and `list`: clusters as files.

use super::App;
use crate::cli::BootArgs;
use crate::exit::{Exit, Refusal};
use crate::output::{self, Table, size};
use crate::progress::Progress;
use crate::settings;
use anyhow::Result;
use kubernix_host::cluster::{self, HostError, IfExists, Restored, Saved, UpReport};
use kubernix_host::root_dir;
use kubernix_host::settings::Place;
use kubernix_host::snapshot::{self, Listed, Manifest};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

/// The JSON output of `snapshot restore`.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    up: UpReport,
    snapshot: &'a Path,
}

impl App {
    pub(super) fn snapshot_save(&self, file: Option<&Path>) -> Result<()> {
        let (place, cluster) = self.cluster()?;
        let resolved = settings::resolve(&self.flags, &BootArgs::default())?;
        let host = self.host(&resolved.settings)?;
        let saved = host.save(&cluster, file)?;
        output::show(self.output(), &saved, |saved| self.saved(&place, saved))
    }

    fn saved(&self, place: &Place, saved: &Saved) -> String {
        let paused = saved.paused_ms.map(|ms| format!(", its datastore was paused for {ms:.1} ms")).unwrap_or_default();
        let path = saved.path.display();
        let restore =
            self.named(place).of_all(&format!("snapshot restore {} --name NEW", cluster::quoted(&path.to_string())));
        format!(
            "cluster `{}` is saved after {:.2} s{paused}\n\n\
             snapshot    {path} ({})\n\n`{restore}` creates another cluster from it\n",
            saved.head.cluster,
            saved.seconds,
            size(saved.size)
        )
    }

    pub(super) fn snapshot_restore(&self, file: &Path, no_up: bool, boot: &BootArgs) -> Result<()> {
        if no_up && *boot != BootArgs::default() {
            let message = "settings of a boot have no effect with --no-up: pass them to `up`";
            return Err(Refusal::error(Exit::Usage, message));
        }
        let manifest = snapshot::manifest(file).map_err(HostError::from)?;
        let place = settings::locate_or(&self.flags, &manifest.head.cluster)?;
        let progress = Progress::new(&self.flags);
        let restored = cluster::restore(&self.named(&place), file, &manifest, &*progress);
        progress.finish();
        let restored = restored?;
        if no_up {
            let value = json!({ "name": place.name, "state": "stopped", "root": restored.root(), "snapshot": file });
            return output::show(self.output(), &value, |_| {
                format!("{}; `{}` boots it", created_from(&place, file, &manifest), self.call("up", &place))
            });
        }
        log::info!("{}", created_from(&place, file, &manifest));
        // From here on, it boots like any other cluster.
        let flags = self.flags.clone().of(&place);
        let app = Self { flags, program: self.program.clone() };
        match app.boot_restored(&restored, boot) {
            Ok(up) => {
                let report = Report { up, snapshot: file };
                output::show(self.output(), &report, |report| self.next_steps(&place, &report.up))
            }
            Err(error) => {
                if !error.downcast_ref::<HostError>().is_some_and(HostError::leaves_cluster) {
                    restored.discard()?;
                }
                Err(error)
            }
        }
    }

    fn boot_restored(&self, restored: &Restored, boot: &BootArgs) -> Result<UpReport> {
        let resolved = settings::resolve(&self.flags, boot)?;
        restored.check_datastore(&self.host(&resolved.settings)?, &resolved)?;
        Ok(self.bring_up(&resolved, IfExists::Refuse, BTreeSet::new())?.1)
    }

    pub(super) fn snapshot_list(&self, directory: Option<&Path>) -> Result<()> {
        let place = settings::locate(&self.flags)?;
        let path = directory.map_or_else(|| root_dir::snapshots(&place.root), Path::to_owned);
        let found = match snapshot::list(&path) {
            // The default directory is created with the first snapshot.
            Err(snapshot::Error::Io { cause, .. }) if directory.is_none() && cause.kind() == ErrorKind::NotFound => {
                vec![]
            }
            found => found.map_err(HostError::from)?,
        };
        if found.is_empty() {
            log::info!("no snapshots in {}", path.display());
        }
        output::show(self.output(), &found, |found| list(found))
    }
}

fn created_from(place: &Place, file: &Path, manifest: &Manifest) -> String {
    let head = &manifest.head;
    let saved = super::cluster::created(&head.saved.to_string());
    format!("cluster `{}` is created from {}: `{}` as of {saved}", place.name, file.display(), head.cluster)
}

fn list(found: &[Listed]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let table = Table::new(&["SNAPSHOT", "CLUSTER", "SAVED", ">SIZE", "KUBERNIX", "DATASTORE", "STATE"]);
    let table = found.iter().fold(table, |table, one| {
        let head = one.head.as_ref();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        table.row([
            one.path.display().to_string(),
            or_dash(head.map(|head| head.cluster.clone())),
            or_dash(head.map(|head| super::cluster::created(&head.saved.to_string()))),
            size(one.size),
            or_dash(head.map(|head| head.kubernix.clone())),
            or_dash(head.map(|head| format!("{} {}", head.datastore.component, head.datastore.version))),
            if one.problem.is_some() { "damaged" } else { "whole" }.to_owned(),
        ])
    });
    let problems: Vec<String> = found.iter().filter_map(|one| one.problem.clone()).collect();
    format!("{table}{}", problems.iter().map(|problem| format!("\n{problem}\n")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_snapshots_are_listed_with_the_cause() {
        let whole = json!({
            "path": "/s/a.tar.gz", "size": 2048, "format": 1, "kubernix": "1.0.0", "cluster": "a", "authority": "a",
            "saved": "2026-11-26T11:00:00.5Z", "cidr": "10.10.0.0/16", "datastore": { "component": "x", "version": "2.0" },
        });
        let head = serde_json::from_value(whole.clone()).unwrap();
        let problem = "the snapshot `/s/b.tar.gz` is damaged: it is cut off".to_owned();
        let found = [
            Listed { path: "/s/a.tar.gz".into(), size: 2048, head: Some(head), problem: None },
            Listed { path: "/s/b.tar.gz".into(), size: 7, head: None, problem: Some(problem.clone()) },
        ];
        let text = list(&found);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["/s/a.tar.gz", "a", "2026-11-26T11:00:00Z", "2.0", "KiB", "1.0.0", "x", "2.0", "whole"]);
        assert_eq!(lines[2], ["/s/b.tar.gz", "-", "-", "7", "B", "-", "-", "damaged"]);
        assert!(text.ends_with(&format!("\n{problem}\n")), "{text}");
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!((&json[0]["cluster"], &json[0]["problem"]), (&"a".into(), &serde_json::Value::Null));
        assert_eq!((json[1].get("cluster"), &json[1]["problem"]), (None, &problem.into()));
    }
}
