//! Resolves the binaries of a cluster.

use super::{Host, HostError, prepare};
use crate::events::{Sink, ToolEvents};
use crate::root_dir::Allotment;
use crate::settings::{Settings, any_version_binaries, binary_overrides};
use crate::toolchain;

impl Host {
    /// Finds or builds all binaries that this cluster needs, and `more`.
    ///
    /// # Errors
    /// One error that lists all missing binaries.
    pub fn tools(
        &self,
        settings: &Settings,
        more: &[String],
        sink: &dyn Sink,
    ) -> Result<toolchain::Resolution, HostError> {
        self.tools_of(settings, &self.allot(settings)?, more, sink)
    }

    /// As [`Host::tools`], for these nodes.
    pub(super) fn tools_of(
        &self,
        settings: &Settings,
        allotment: &Allotment,
        more: &[String],
        sink: &dyn Sink,
    ) -> Result<toolchain::Resolution, HostError> {
        let needed = prepare::binaries(self, settings, allotment)?;
        let request = toolchain::Request {
            optional: prepare::FOR_USERS_IF_THERE.map(str::to_owned).to_vec(),
            names: needed.iter().chain(more.iter().filter(|name| !needed.contains(name))).cloned().collect(),
            overrides: binary_overrides(settings, &self.catalogue())?,
            any_version: any_version_binaries(settings, &self.catalogue()),
        };
        let options = toolchain::Options { cache_dir: settings.cache_dir.clone(), install: settings.install };
        Ok(toolchain::resolve(&self.registry.table, &request, &options, &ToolEvents(sink))?)
    }
}
