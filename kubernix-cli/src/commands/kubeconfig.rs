//! `kubeconfig`: stub

use super::App;
use anyhow::Result;

impl App {
    pub(super) fn kubeconfig_merge(&self) -> Result<()> {
        Ok(())
    }
    pub(super) fn kubeconfig_remove(&self) -> Result<()> {
        Ok(())
    }
    pub(super) fn kubeconfig_path(&self) -> Result<()> {
        Ok(())
    }
}
