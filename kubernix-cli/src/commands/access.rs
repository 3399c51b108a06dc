//! `kubectl`, `shell` and `enter`: run a program for or in a running cluster. Their exit code is
//! that of the program.

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
        Err(Program::new(cluster.tool("kubectl")?, args, cluster.environment()?).exec_program())
    }

    pub(super) fn shell(&self) -> Result<ExitCode> {
        let (place, cluster) = self.running()?;
        Err(Program::new(program::shell(), &[], environment(&place, &cluster)?).exec_program())
    }

    pub(super) fn enter(&self, args: &EnterArgs) -> Result<ExitCode> {
        let (_, cluster) = self.running()?;
        let shell = [program::shell().into_os_string()];
        let command = if args.command.is_empty() { &shell[..] } else { &args.command };
        let code = cluster.enter(args.node.as_deref(), command)?;
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
    }
}

/// The environment variables of a shell for a cluster: its kubeconfig and binaries, its name for
/// the prompt, and variables by which `kubernix` in the shell selects this cluster.
pub(super) fn environment(place: &Place, cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let mut variables = cluster.environment()?;
    if let Some((_, path)) = variables.iter_mut().find(|(name, _)| name == "PATH") {
        *path = with_own_directory(path, std::env::current_exe().ok().as_deref());
    }
    variables.push(("KUBERNIX_NAME".to_owned(), place.name.clone()));
    variables.push(("KUBERNIX_ROOT".to_owned(), place.root.to_string_lossy().into_owned()));
    Ok(variables)
}

/// Appends the directory of this program to a `PATH`. It comes last, so that its other programs
/// don't shadow any.
fn with_own_directory(path: &str, own: Option<&Path>) -> String {
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
    fn the_own_directory_is_appended_once() {
        let own = Some(Path::new("/opt/own/kubernix"));
        assert_eq!(with_own_directory("/a:/b", own), "/a:/b:/opt/own");
        assert_eq!(with_own_directory("/opt/own:/b", own), "/opt/own:/b");
        assert_eq!(with_own_directory("/a", Some(Path::new("/odd:dir/kubernix"))), "/a");
        assert_eq!(with_own_directory("/a", None), "/a");
    }
}
