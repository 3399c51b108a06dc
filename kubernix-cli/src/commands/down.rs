//! `down`: the end of one cluster, or of all.

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

/// How the end of one of several clusters went.
#[derive(Debug, Serialize)]
struct End {
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
        let gone = cluster.down(&*progress);
        progress.finish();
        gone?;
        let seconds = begun.elapsed().as_secs_f64();
        output::show(self.output(), &json!({ "name": place.name, "state": "destroyed", "seconds": seconds }), |_| {
            format!("cluster `{}` is destroyed after {seconds:.2} s", place.name)
        })
    }

    /// Destroys all clusters of a place, and says in the end which are left.
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
        let end = |name: String| {
            let (begun, place) = (Instant::now(), Place { name, root: base.clone() });
            let gone = match Cluster::find_any(self.named(&place)) {
                Ok(cluster) => cluster.down(&*progress),
                Err(error) => Err(error),
            };
            let error = gone.err().map(|error| message(&error.into()));
            let state = if error.is_none() { "destroyed" } else { "failed" };
            End { name: place.name, state, seconds: begun.elapsed().as_secs_f64(), error }
        };
        let ends: Vec<End> = clusters.into_iter().map(|cluster| end(cluster.name)).collect();
        progress.finish();
        output::show(self.output(), &ends, |ends| ends.iter().map(told).collect::<String>())?;
        let failed: Vec<String> = ends.iter().filter_map(left).collect();
        match failed.len() {
            0 => Ok(()),
            count => Err(Refusal::error(
                Exit::Failure,
                format!("{count} of {} clusters can't be destroyed:{}", ends.len(), failed.concat()),
            )),
        }
    }
}

/// What there is to be said of a cluster that is gone.
fn told(end: &End) -> String {
    match end.error {
        None => format!("cluster `{}` is destroyed after {:.2} s\n", end.name, end.seconds),
        Some(_) => String::new(),
    }
}

/// What there is to be said of one that isn't.
fn left(end: &End) -> Option<String> {
    Some(format!("\n  {}: {}", end.name, end.error.as_ref()?))
}
