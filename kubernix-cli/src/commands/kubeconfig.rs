//! `kubeconfig merge`, `remove` and `path`: the cluster's context in the user's own kubeconfig.

use super::App;
use crate::exit::{Exit, Refusal};
use crate::output;
use anyhow::Result;
use kubernix_host::kubeconfig::Merged;
use serde_json::json;

impl App {
    pub(super) fn kubeconfig_merge(&self) -> Result<()> {
        let (_, cluster) = self.cluster()?;
        output::show(self.output(), &cluster.merge_kubeconfig()?, merged)
    }

    pub(super) fn kubeconfig_remove(&self) -> Result<()> {
        let (place, cluster) = self.cluster()?;
        let files = cluster.remove_kubeconfig()?;
        if files.is_empty() {
            log::info!("no kubeconfig has the context of cluster `{}`", place.name);
        }
        let context = format!("kubernix-{}", place.name);
        output::show(self.output(), &json!({ "context": context, "files": files }), |_| {
            let line = |file: &std::path::PathBuf| format!("removed context `{context}` from {}\n", file.display());
            files.iter().map(line).collect::<String>()
        })
    }

    pub(super) fn kubeconfig_path(&self) -> Result<()> {
        let (place, cluster) = self.cluster()?;
        let path = cluster.root().kubeconfig("admin");
        if !path.is_file() {
            let up = self.call("up", &place);
            let message = format!("cluster `{}` has no kubeconfig yet: boot it with `{up}`", place.name);
            return Err(Refusal::error(Exit::NotRunning, message));
        }
        output::show(self.output(), &json!({ "name": place.name, "path": path }), |_| path.display().to_string())
    }
}

/// The text for a merge.
pub(super) fn merged(merged: &Merged) -> String {
    let before = merged.before.as_ref().map(|before| format!(", in place of `{before}`")).unwrap_or_default();
    format!("context `{}` is in {} and the current one{before}", merged.context, merged.file.display())
}
