//! The checks, in the order in which they run: what each demands, and where that stands.

mod describe;
mod endpoints;
mod errors;
mod hooks;
mod parameters;
mod paths;
mod plan;
mod processes;

use super::bench::Bench;
use super::report::Verdict;

/// A demand on a component.
pub struct Check {
    /// Its name: kebab-case, stable over releases.
    pub id: &'static str,
    /// What it demands.
    pub demands: &'static str,
    /// Where in the contract that stands.
    pub contract: &'static str,
    pub(super) run: fn(&mut Bench) -> Verdict,
}

macro_rules! table {
    ($($id:literal, $demands:literal, $contract:literal, $run:path;)+) => {
        &[$(Check { id: $id, demands: $demands, contract: $contract, run: $run }),+]
    };
}

/// All checks.
#[rustfmt::skip]
pub fn checks() -> &'static [Check] {
    table! {
        "describe-answers", "it can be made, and says what it is: in time and without a panic", "`Component`", describe::answers;
        "describe-valid", "names are DNS labels, none twice; there is a role; the title can be read", "`Handle::describe`", describe::valid;
        "describe-stable", "it says the same each time, on every thread, and in every instance", "`Component`: pure", describe::stable;
        "binaries-named", "binaries have names without slashes or white space, none twice", "`Component::binaries`", describe::binaries;
        "parameters-explained", "every parameter says in one line what it does; `binary` is the host's", "`Parameter`", describe::parameters;
        "manifest-true", "its manifest says what it says itself", "plugin manifest", describe::manifest;
        "plan-answers", "`plan` returns in time and without a panic", "`Component::plan`", plan::answers;
        "defaults-accepted", "with every parameter at its default there is a plan, in any ordinary context", "`Component::plan`", plan::defaults;
        "plan-same", "the same context gives the same plan: again, in another instance, from another context of the same content", "`Component`: pure", plan::same;
        "plan-threads", "the same with several threads inside at once", "`Component`: any thread", plan::threads;
        "context-not-remembered", "nothing of one context is in the plan for another: no path, name or address", "`Component`: pure", plan::not_remembered;
        "plan-runs-nothing", "`plan` runs no command", "`Context::run`", plan::runs_nothing;
        "asks-declared", "it asks only for binaries, parameters and roles that it declares", "`Context::executable`, `parameter`, `endpoint`", plan::asks_declared;
        "paths-inside", "files and directories lie in its own directories; paths are absolute, don't climb, none twice", "`Planner::file`, `directory`", paths::inside;
        "paths-from-context", "arguments and environment name no fixed path of a place where data lies", "`Context::dir`", paths::from_context;
        "modes-closed", "only the owner may write what it writes", "`File::mode`, `Directory::mode`", paths::modes;
        "processes-named", "processes are named by DNS labels, none twice, and ask for nothing that a host rejects: unknown options, restart policies, liveness that can't be", "`Process`", processes::named;
        "programs-known", "programs are absolute paths of declared binaries, or scripts that the plan writes", "`Process::program`", processes::programs;
        "stop-bounded", "the stop signal is one that asks, and the grace a minute at the most", "`Process::stop`", processes::stop;
        "secrets-hidden", "no key material in arguments or environment, which every user of the machine can read", "`Identity`: paths", processes::secrets;
        "roles-filled", "the plan fills every role that it declares, once, and no other", "`Component::provides`", endpoints::filled;
        "endpoints-valid", "an endpoint is empty, `unix://PATH` in its own directories, or `SCHEME://IP:PORT`; roles of ours have their own form", "`Endpoint::url`, `roles`", endpoints::valid;
        "sockets-fit", "a unix socket's path has 107 bytes at most, or there is an error", "`UnixSocket`", endpoints::sockets;
        "probes-ask", "every role has a probe that asks something; `started` only where there is no process to ask", "`Probe`", endpoints::probes;
        "probe-targets-own", "probes ask loopback, the cluster's addresses, or its own sockets and programs", "`Probe::target`", endpoints::targets;
        "extras-named", "images are references, manifests have a name and content", "`Planner::image`, `manifest`", plan::extras;
        "parameters-guarded", "any text as a parameter gives a plan or an error that names the parameter", "`Context::parameter`", parameters::guarded;
        "errors-contained", "whatever call to the host fails, it returns: no panic, no hang", "`Component`: errors", errors::contained;
        "errors-passed-on", "a call to the host that fails makes `plan` fail, with an error that names it", "`Component::plan`: errors", errors::passed_on;
        "preflight-answers", "`preflight` returns, twice, and findings say something", "`Component::preflight`", hooks::preflight;
        "stop-twice", "`before_stop` works twice, runs only declared binaries, and bears commands that fail", "`Component::before_stop`", hooks::stop_twice;
        "import-one-argument", "whatever an image's name, it is one argument of a declared binary, and never a shell's code", "`Component::import_image`", hooks::import;
        "drop-contained", "an instance is dropped in time, without a panic, and others go on", "`Component`: panics", hooks::drop_contained;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words_with_dashes_and_unique() {
        let mut ids: Vec<_> = checks().iter().map(|check| check.id).collect();
        assert!(ids.iter().all(|id| kubernix_core::is_name(id)), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), checks().len());
    }
}
