//! Hidden commands that only KuberNix itself calls: a cluster's keeper and init, and the wrapper of
//! the OCI runtime. They are selected before flags are parsed, so they don't appear in help.

use crate::{check, cri_client, logging, registry, wait};
use kubernix_host::plugins;
use kubernix_host::process::oom_shim;
use kubernix_host::{boot, engine, sandbox};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

/// The runtime wrapper, called by CRI-O's script.
const OCI_RUNTIME_SHIM: &str = "oci-runtime-shim";

/// A client of a node's container runtime, called by the scripts and hooks of its component.
const CRI_CLIENT: &str = "cri-client";

/// Polls a URL until it returns 200, with the probes of a boot. The boot benchmark measures its
/// floor with it.
const WAIT_HTTP: &str = "__wait-http";

/// Loads libraries, or all libraries of directories, and prints the time in microseconds. The
/// benchmark of plugins uses it.
const LOAD_PLUGINS: &str = "__load-plugins";

/// Runs the hidden command of these arguments (the program's own name first), if they are one.
pub fn run(args: &[OsString]) -> Option<ExitCode> {
    let (command, args) = args.get(1..)?.split_first()?;
    let ended = match command.to_str()? {
        sandbox::KEEPER => run_cluster_process(|| boot::run_keeper(args)),
        sandbox::NODE => run_cluster_process(|| sandbox::node::run(args)),
        sandbox::INIT => run_cluster_process(|| {
            let inside = boot::enter_sandbox(args)?;
            engine::run(&inside, registry::components().map_err(std::io::Error::other)?)
        }),
        LOAD_PLUGINS => run_cluster_process(|| load_plugins(args)),
        check::inside::COMMAND => run_cluster_process(|| check::inside::run(args)),
        CRI_CLIENT => run_cluster_process(|| cri_client::run(args)),
        WAIT_HTTP => run_cluster_process(|| wait::http(args)),
        // Replaces this process by the OCI runtime, and returns only on failure. CRI-O reports
        // standard error.
        OCI_RUNTIME_SHIM => return Some(failed(&oom_shim::run(args.to_vec()))),
        _ => return None,
    };
    Some(ended)
}

fn load_plugins(libraries: &[OsString]) -> std::io::Result<()> {
    let begun = std::time::Instant::now();
    let (directories, files): (Vec<PathBuf>, Vec<PathBuf>) =
        libraries.iter().map(PathBuf::from).partition(|path| path.is_dir());
    for library in files {
        let loaded = plugins::load(&library).map_err(std::io::Error::other)?;
        loaded.handle.describe().map_err(std::io::Error::other)?;
    }
    if !directories.is_empty() {
        let found = plugins::Registry::gather(Vec::new(), &plugins::Search::of(directories, None, None, |_| None));
        if let Some(problem) = found.problems().next() {
            return Err(std::io::Error::other(problem.to_owned()));
        }
    }
    println!("{}", begun.elapsed().as_micros());
    Ok(())
}

/// Runs the keeper or the init of a cluster. Its standard error is a log file.
fn run_cluster_process(run: impl FnOnce() -> std::io::Result<()>) -> ExitCode {
    if let Err(error) = logging::set_up_plain() {
        return failed(&error);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_commands_are_not_hidden_commands() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(run(&args(&["kubernix"])).is_none());
        assert!(run(&args(&[])).is_none());
        assert!(run(&args(&["kubernix", "up", sandbox::INIT])).is_none());
    }
}
