//! `kubectl`, `shell`, `enter`: ways into a running cluster. Their exit code is that of what they ran.

use super::App;
use crate::cli::EnterArgs;
use crate::program::{self, Program};
use anyhow::Result;
use kubernix_host::cluster::Cluster;
use kubernix_host::settings::Place;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
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

/// What a shell in front of a cluster gets: the way to reach it, its name for the prompt, and that `kubernix` in it is this one
/// and means the same cluster.
pub(super) fn environment(place: &Place, cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let mut variables = cluster.environment()?;
    if let Some((_, path)) = variables.iter_mut().find(|(name, _)| name == "PATH") {
        *path = reaching_us(path, std::env::current_exe().ok().as_deref());
    }
    variables.push(("KUBERNIX_NAME".to_owned(), place.name.clone()));
    variables.push(("KUBERNIX_ROOT".to_owned(), place.root.to_string_lossy().into_owned()));
    Ok(variables)
}

/// The path with our own directory at its end, so that nothing else that lies in it hides anything.
fn reaching_us(path: &str, own: Option<&Path>) -> String {
    let own = own.and_then(Path::parent).map(Path::to_owned);
    let entries: Vec<PathBuf> = std::env::split_paths(path).collect();
    let missing = own.filter(|own| !entries.contains(own));
    let joined = std::env::join_paths(entries.into_iter().chain(missing));
    joined.map_or_else(|_| path.to_owned(), |joined| joined.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_directory_comes_last_and_once() {
        let own = Some(Path::new("/opt/own/kubernix"));
        assert_eq!(reaching_us("/a:/b", own), "/a:/b:/opt/own");
        assert_eq!(reaching_us("/opt/own:/b", own), "/opt/own:/b");
        assert_eq!(reaching_us("/a", Some(Path::new("/odd:dir/kubernix"))), "/a");
        assert_eq!(reaching_us("/a", None), "/a");
    }
}
