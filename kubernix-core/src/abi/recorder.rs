//! A [`Plan`] as planner: records a component's calls. Hosts and test kits build on it.

use super::options::{check_probe, check_process};
use super::{AbiPairs, AbiPlanner, AbiProbe, AbiProcess, AbiResult};
use crate::{Directory, Endpoint, Error, File, ImageBuild, Manifest, Plan, Probe, Process, Role};
use abi_stable::std_types::{RStr, Tuple2};

fn absolute(path: &str) -> Result<String, Error> {
    let climbs = path.split('/').any(|part| part == "..");
    if !path.starts_with('/') || climbs {
        return Err(Error::invalid(format!("`{path}` is not an absolute path without `..`")));
    }
    Ok(path.to_owned())
}

fn answer(result: crate::Result<()>) -> AbiResult<()> {
    result.map_err(Into::into).into()
}

impl AbiPlanner for Plan {
    fn directory(&mut self, path: RStr<'_>, mode: u32) -> AbiResult<()> {
        answer(absolute(path.as_str()).map(|path| self.directory(Directory { path, mode })))
    }

    fn file(&mut self, path: RStr<'_>, content: RStr<'_>, mode: u32) -> AbiResult<()> {
        let file = absolute(path.as_str()).map(|path| File { path, content: content.into(), mode });
        answer(file.and_then(|file| self.file(file)))
    }

    fn process(&mut self, process: AbiProcess) -> AbiResult<()> {
        let process = Process::from(process);
        let named = if crate::is_name(&process.name) {
            absolute(&process.program)
        } else {
            Err(Error::invalid(format!("process {:?} is not named by a DNS label", process.name)))
        };
        answer(named.and_then(|_| check_process(&process)).and_then(|()| self.process(process)))
    }

    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()> {
        let (role, probe) = (Role::new(role.as_str()), Probe::from(probe));
        let checked = check_probe(&format!("the probe of role `{role}`"), &probe);
        answer(checked.and_then(|()| self.provide(Endpoint { role, url: url.into(), probe })))
    }

    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()> {
        self.manifests.push(Manifest { name: name.into(), yaml: yaml.into() });
        answer(Ok(()))
    }

    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()> {
        self.images.push(reference.into());
        answer(Ok(()))
    }

    fn build(&mut self, reference: RStr<'_>, parts: AbiPairs) -> AbiResult<()> {
        let parts = parts.into_iter().map(|Tuple2(part, value)| (part.into(), value.into())).collect();
        self.builds.push(ImageBuild { reference: reference.into(), parts });
        answer(Ok(()))
    }

    fn variable(&mut self, name: RStr<'_>, value: RStr<'_>) -> AbiResult<()> {
        self.variables.insert(name.into(), value.into());
        answer(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limit, Liveness, Restart, Signal, UNLIMITED};
    use std::time::Duration;

    #[test]
    fn relative_paths_and_parent_components_are_rejected() {
        let mut plan = Plan::default();
        for path in ["etc/passwd", "/a/../etc/passwd"] {
            assert!(AbiPlanner::file(&mut plan, path.into(), "".into(), 0o600).is_err(), "{path}");
        }
        assert!(AbiPlanner::file(&mut plan, "/a/b..c".into(), "x".into(), 0o600).is_ok());
        assert_eq!(plan.files.len(), 1);
    }

    fn rejected(process: Process) -> String {
        let answer = AbiPlanner::process(&mut Plan::default(), (&process).into());
        Error::from(answer.into_result().unwrap_err()).to_string()
    }

    #[test]
    fn an_unknown_option_is_rejected_by_name() {
        let process = || Process::new("one", "/bin/one");
        let error = rejected(process().option("sandbox-level", "3"));
        assert!(error.starts_with("process `one` has the option `sandbox-level`, which this version"), "{error}");
        let probe = Probe::tcp("127.0.0.1:1").option("source", "x");
        let error = rejected(process().liveness(Liveness::new(probe.clone())));
        assert!(error.starts_with("the liveness probe of process `one` has the option `source`"), "{error}");
        let answer = AbiPlanner::provide(&mut Plan::default(), "dns".into(), "".into(), (&probe).into());
        let error = Error::from(answer.into_result().unwrap_err()).to_string();
        assert!(error.starts_with("the probe of role `dns` has the option `source`"), "{error}");
    }

    #[test]
    fn all_fields_of_a_process_cross_the_boundary() {
        let probe = Probe::command("/bin/ask", ["-x"]).env("A", "b");
        let process = Process::new("one", "/bin/one")
            .arg("--x")
            .env("C", "d")
            .directory("/run/kubernix/one")
            .user("nobody:65534")
            .limit(Limit::NOFILE, 64)
            .limit(Limit::CORE, UNLIMITED)
            .restart(Restart::NEVER)
            .stop(Signal::INT, Duration::from_millis(1_500))
            .liveness(Liveness::new(probe).every(Duration::from_secs(2)).failures(5));
        let mut plan = Plan::default();
        AbiPlanner::process(&mut plan, (&process).into()).into_result().unwrap();
        assert_eq!(plan.processes, [process]);
    }

    #[test]
    fn liveness_requires_one_long_running_process() {
        let with = |liveness| Process::new("one", "/bin/one").liveness(liveness);
        let tcp = || Liveness::new(Probe::tcp("127.0.0.1:1"));
        assert!(rejected(with(tcp()).one_shot()).contains("runs once"));
        assert!(
            rejected(with(Liveness::new(Probe::manifests()))).contains("a liveness probe `manifests`: use one of http")
        );
        assert!(rejected(with(tcp().failures(0))).contains("without failures"));
        assert!(rejected(with(tcp().every(Duration::ZERO))).contains("between checks"));
        assert!(rejected(Process::new("one", "/bin/one").directory("here")).contains("`here`, which is not absolute"));
    }
}
