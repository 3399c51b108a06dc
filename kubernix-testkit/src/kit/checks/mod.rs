//! The checks, in the order in which they run.

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

/// A requirement on a component.
pub struct Check {
    /// Its name: kebab-case, stable over releases.
    pub id: &'static str,
    /// The requirement.
    pub demands: &'static str,
    /// The part of the contract that defines it.
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
        "describe-answers", "it can be created and described, in time and without a panic", "`Component`", describe::answers;
        "describe-valid", "names are unique DNS labels; it provides a role; the title is printable", "`Handle::describe`", describe::valid;
        "describe-stable", "its description is the same each time, on every thread, and in every instance", "`Component`: pure", describe::stable;
        "binaries-named", "names of binaries are unique and have no slashes or white space", "`Component::binaries`", describe::binaries;
        "parameters-explained", "every parameter has a help text of one line; `binary` is reserved for the host", "`Parameter`", describe::parameters;
        "manifest-true", "its manifest agrees with its description", "plugin manifest", describe::manifest;
        "plan-answers", "`plan` returns in time and without a panic", "`Component::plan`", plan::answers;
        "defaults-accepted", "`plan` succeeds with the default of every parameter, in any ordinary context", "`Component::plan`", plan::defaults;
        "plan-same", "the same context gives the same plan: again, in another instance, from another context of the same content", "`Component`: pure", plan::same;
        "plan-threads", "the same when several threads call `plan` at once", "`Component`: any thread", plan::threads;
        "context-not-remembered", "the plan for one context has no path, name or address of another context", "`Component`: pure", plan::not_remembered;
        "plan-runs-nothing", "`plan` runs no command", "`Context::run`", plan::runs_nothing;
        "asks-declared", "it uses only binaries, parameters and roles that it declares", "`Context::executable`, `parameter`, `endpoint`", plan::asks_declared;
        "paths-inside", "files and directories are in its own directories; paths are absolute, unique, and have no `..`", "`Planner::file`, `directory`", paths::inside;
        "paths-from-context", "arguments and environment have no fixed path of a directory for data", "`Context::dir`", paths::from_context;
        "modes-closed", "its files and directories are writable for the owner only", "`File::mode`, `Directory::mode`", paths::modes;
        "processes-named", "names of processes are unique DNS labels; options, restart policies and liveness probes are valid", "`Process`", processes::named;
        "programs-known", "programs are absolute paths of declared binaries, or scripts that the plan writes", "`Process::program`", processes::programs;
        "stop-bounded", "the stop signal is one that can end a process, and the grace is a minute at most", "`Process::stop`", processes::stop;
        "secrets-hidden", "arguments and environment, which every user of the machine can read, have no key material", "`Identity`: paths", processes::secrets;
        "roles-filled", "the plan fills each declared role once, and no other role", "`Component::provides`", endpoints::filled;
        "endpoints-valid", "an endpoint is empty, `unix://PATH` in its own directories, or `SCHEME://IP:PORT`; KuberNix' own roles have fixed schemes", "`Endpoint::url`, `roles`", endpoints::valid;
        "sockets-fit", "a unix socket's path has 107 bytes at most, otherwise `plan` fails", "`UnixSocket`", endpoints::sockets;
        "probes-ask", "every role has a probe; `started` is only valid without processes", "`Probe`", endpoints::probes;
        "probe-targets-own", "probes connect to loopback, the cluster's addresses or its own sockets, or run its own programs", "`Probe::target`", endpoints::targets;
        "extras-named", "images are references, manifests have a name and content", "`Planner::image`, `manifest`", plan::extras;
        "parameters-guarded", "for any text as a parameter, `plan` succeeds or returns an error that names the parameter", "`Context::parameter`", parameters::guarded;
        "errors-contained", "it returns without a panic, whichever call to the host fails", "`Component`: errors", errors::contained;
        "errors-passed-on", "if a call to the host fails, `plan` fails with an error that names the call", "`Component::plan`: errors", errors::passed_on;
        "preflight-answers", "`preflight` can be called twice, and findings have a message", "`Component::preflight`", hooks::preflight;
        "stop-twice", "`before_stop` can be called twice, runs only declared binaries, and survives failing commands", "`Component::before_stop`", hooks::stop_twice;
        "import-one-argument", "any image name becomes one argument of a declared binary, never shell code", "`Component::import_image`", hooks::import;
        "drop-contained", "an instance is dropped in time and without a panic, and other instances still work", "`Component`: panics", hooks::drop_contained;
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
