//! `down`: destroys one cluster, or all.

use super::App;
use crate::exit::{Exit, Refusal};
use crate::output;
use crate::progress::Progress;
use crate::{message, settings};
use anyhow::Result;
use kubernix_host::cluster::{self, Cluster};
use kubernix_host::settings::Place;
use serde::Serialize;
use serde_json::json;
use std::time::Instant;

/// The result for one of several clusters.
#[derive(Debug, Serialize)]
struct DownResult {
    name: String,
    /// `destroyed` or `failed`.
    state: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl App {
    pub(super) fn down(&self) -> Result<()> {
        let (place, cluster) = self.any_cluster()?;
        let (begun, progress) = (Instant::now(), Progress::new(&self.flags));
        let down = cluster.down(&*progress);
        progress.finish();
        down?;
        let seconds = begun.elapsed().as_secs_f64();
        output::show(self.output(), &json!({ "name": place.name, "state": "destroyed", "seconds": seconds }), |_| {
            format!("cluster `{}` is destroyed after {seconds:.2} s", place.name)
        })
    }

    /// Destroys all clusters of a base directory. The error lists those that couldn't be destroyed.
    pub(super) fn down_all(&self) -> Result<()> {
        if self.flags.settings.0.name.is_some() {
            return Err(Refusal::error(Exit::Usage, "`down` takes --all or --name, not both"));
        }
        let base = settings::locate(&self.flags)?.root;
        let clusters = cluster::list(&base)?;
        if clusters.is_empty() {
            log::info!("no clusters in {}", base.display());
        }
        let progress = Progress::new(&self.flags);
        let destroy = |name: String| {
            let (begun, place) = (Instant::now(), Place { name, root: base.clone() });
            let down = match Cluster::find_any(self.named(&place)) {
                Ok(cluster) => cluster.down(&*progress),
                Err(error) => Err(error),
            };
            let error = down.err().map(|error| message(&error.into()));
            let state = if error.is_none() { "destroyed" } else { "failed" };
            DownResult { name: place.name, state, seconds: begun.elapsed().as_secs_f64(), error }
        };
        let results: Vec<DownResult> = clusters.into_iter().map(|cluster| destroy(cluster.name)).collect();
        progress.finish();
        output::show(self.output(), &results, |results| results.iter().map(success_line).collect::<String>())?;
        let failed: Vec<String> = results.iter().filter_map(failure_line).collect();
        match failed.len() {
            0 => Ok(()),
            count => Err(Refusal::error(
                Exit::Failure,
                format!("{count} of {} clusters can't be destroyed:{}", results.len(), failed.concat()),
            )),
        }
    }
}

/// The line for a destroyed cluster. Empty for one that couldn't be destroyed.
fn success_line(result: &DownResult) -> String {
    match result.error {
        None => format!("cluster `{}` is destroyed after {:.2} s\n", result.name, result.seconds),
        Some(_) => String::new(),
    }
}

/// The line for a cluster that couldn't be destroyed.
fn failure_line(result: &DownResult) -> Option<String> {
    Some(format!("\n  {}: {}", result.name, result.error.as_ref()?))
}
