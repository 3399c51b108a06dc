//! The commands that only KuberNix itself calls: the same binary carries a cluster's keeper and
//! init, and stands in front of the OCI runtime. They are told apart before any flags are read,
//! because what they are given is no user's business.

use crate::{check, cri_client, logging, registry, wait};
use kubernix_host::plugins;
use kubernix_host::process::oom_shim;
use kubernix_host::{boot, engine, sandbox};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

/// The runtime wrapper's name, as CRI-O's script calls it.
const OCI_RUNTIME_SHIM: &str = "oci-runtime-shim";

/// Asks the container runtime of a node, as the scripts and hooks of its component call it.
const CRI_CLIENT: &str = "cri-client";

/// Asks a URL until it answers 200, with the probes of a boot: what the boot benchmark's floor is
/// measured by.
const WAIT_HTTP: &str = "__wait-http";

/// Loads libraries, or all that lies in directories, and prints how long that took, in
/// microseconds: what the benchmark of plugins is measured by.
const LOAD_PLUGINS: &str = "__load-plugins";

/// Runs the hidden command of these arguments (the program's own name first), if they are one.
pub fn run(args: &[OsString]) -> Option<ExitCode> {
    let (command, args) = args.get(1..)?.split_first()?;
    let ended = match command.to_str()? {
        sandbox::KEEPER => carry(|| boot::run_keeper(args)),
        sandbox::NODE => carry(|| sandbox::node::run(args)),
        sandbox::INIT => carry(|| {
            let inside = boot::enter_sandbox(args)?;
            engine::run(&inside, registry::components().map_err(std::io::Error::other)?)
        }),
        // Becomes the OCI runtime: only a failure comes back, and CRI-O reports what it reads on
        // standard error.
        LOAD_PLUGINS => carry(|| load_plugins(args)),
        check::inside::COMMAND => carry(|| check::inside::run(args)),
        CRI_CLIENT => carry(|| cri_client::run(args)),
        WAIT_HTTP => carry(|| wait::http(args)),
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

/// Runs a process that carries a cluster. Its standard error is a log file.
fn carry(run: impl FnOnce() -> std::io::Result<()>) -> ExitCode {
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
    fn commands_of_users_are_left_alone() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(run(&args(&["kubernix"])).is_none());
        assert!(run(&args(&[])).is_none());
        assert!(run(&args(&["kubernix", "up", sandbox::INIT])).is_none());
    }
}
