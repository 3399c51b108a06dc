//! A [`Plan`] takes what a component says: the planner that hosts and test kits start from.

use super::{AbiPlanner, AbiProbe, AbiProcess, AbiResult};
use crate::{Directory, Endpoint, Error, File, ImageBuild, Manifest, Plan, Role};
use abi_stable::std_types::{RStr, RString, RVec, Tuple2};

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
        let name = process.name.as_str();
        let named = match crate::is_name(name) {
            true => absolute(process.program.as_str()),
            false => Err(Error::invalid(format!("process {name:?} is not named by a DNS label"))),
        };
        answer(named.and_then(|_| self.process(process.into())))
    }

    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()> {
        answer(self.provide(Endpoint { role: Role::new(role.as_str()), url: url.into(), probe: probe.into() }))
    }

    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()> {
        self.manifests.push(Manifest { name: name.into(), yaml: yaml.into() });
        answer(Ok(()))
    }

    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()> {
        self.images.push(reference.into());
        answer(Ok(()))
    }

    fn build(&mut self, reference: RStr<'_>, parts: RVec<Tuple2<RString, RString>>) -> AbiResult<()> {
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

    #[test]
    fn paths_are_absolute_and_do_not_climb() {
        let mut plan = Plan::default();
        for path in ["etc/passwd", "/a/../etc/passwd"] {
            assert!(AbiPlanner::file(&mut plan, path.into(), "".into(), 0o600).is_err(), "{path}");
        }
        assert!(AbiPlanner::file(&mut plan, "/a/b..c".into(), "x".into(), 0o600).is_ok());
        assert_eq!(plan.files.len(), 1);
    }
}
