//! `kubectl`, `shell`, `enter`: ways into a running cluster. Their exit code is that of what they ran.

use super::App;
use crate::cli::EnterArgs;
use crate::program::{self, Program};
use anyhow::Result;
use kubernix_host::cluster::Cluster;
use kubernix_host::spec::Place;
use std::ffi::OsString;
use std::process::ExitCode;

impl App {
    pub(super) fn kubectl(&self, args: &[OsString]) -> Result<ExitCode> {
        let (_, cluster) = self.running()?;
        Err(Program::new(cluster.tool("kubectl")?, args, cluster.environment()?).become_it())
    }

    pub(super) fn shell(&self) -> Result<ExitCode> {
        let (place, cluster) = self.running()?;
        Err(Program::new(program::shell(), &[], environment(&place, &cluster)?).become_it())
    }

    pub(super) fn enter(&self, args: &EnterArgs) -> Result<ExitCode> {
        let (_, cluster) = self.running()?;
        let shell = [program::shell().into_os_string()];
        let command = if args.command.is_empty() { &shell[..] } else { &args.command };
        let code = cluster.enter(args.node.as_deref(), command)?;
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
    }
}

/// What a shell in front of a cluster gets: the way to reach it, its name for the prompt, and that `kubernix` in it means the
/// same cluster.
pub(super) fn environment(place: &Place, cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let own = [("KUBERNIX_NAME", place.name.clone()), ("KUBERNIX_ROOT", place.root.to_string_lossy().into_owned())];
    let reach = cluster.environment()?.into_iter();
    Ok(reach.chain(own.map(|(name, value)| (name.to_owned(), value))).collect())
}
