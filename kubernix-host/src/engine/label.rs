//! The name of a running cluster, which is a label: no plan and no path inside depends on it.

use super::Cluster;
use crate::chain::chain;
use crate::control::Reply;
use crate::sandbox::Boot;
use crate::spec;

impl Cluster {
    /// Commits the cluster's new name, with which the next boot begins.
    ///
    /// # Errors
    /// The state can't be written: then the one before is in force.
    pub(super) async fn take_name(&self, name: String) -> Result<Reply, String> {
        let (file, boot) = {
            let committed = self.committed.borrow();
            let mut settings = spec::of_text(&self.root, &committed.file.settings).map_err(|error| chain(&error))?;
            settings.name.clone_from(&name);
            let mut boot: Boot = (*committed.boot).clone();
            boot.environment.cluster.clone_from(&name);
            let value = serde_json::to_value(&boot).map_err(|error| error.to_string())?;
            (committed.file.next(settings.to_toml(), committed.file.allotment.clone(), value), boot)
        };
        self.put_in_force(file, boot).await?;
        Ok(Reply::Renamed { name })
    }
}
