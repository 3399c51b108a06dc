//! A planner that takes everything, so that what is wrong with a plan can be named one by one. The
//! host's own refuses the first thing that can't be.

use super::turn::Turn;
use kubernix_core::abi::{AbiPlanner, AbiProbe, AbiProcess, AbiResult};
use kubernix_core::abi_stable::std_types::{RResult, RStr, RString, RVec, Tuple2};
use kubernix_core::{ImageBuild, Probe, Process};
use std::sync::Arc;

/// A file or directory; directories have no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) path: String,
    pub(super) content: Option<String>,
    pub(super) mode: u32,
}

/// A role, where it answers and when it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) role: String,
    pub(super) url: String,
    pub(super) probe: Probe,
}

/// A plan as the component made it, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) written: Vec<Written>,
    pub(super) processes: Vec<Process>,
    pub(super) filled: Vec<Filled>,
    pub(super) manifests: Vec<(String, String)>,
    pub(super) images: Vec<String>,
    pub(super) builds: Vec<ImageBuild>,
    pub(super) variables: Vec<(String, String)>,
}

impl Taken {
    /// Every text in it, with the name of where it stands.
    pub(super) fn texts(&self) -> Vec<(String, &str)> {
        let mut texts = Vec::new();
        for written in &self.written {
            texts.push(("a path".to_owned(), written.path.as_str()));
            texts.extend(written.content.as_deref().map(|content| (format!("file `{}`", written.path), content)));
        }
        for process in &self.processes {
            let place = || format!("process `{}`", process.name);
            texts.push((place(), process.program.as_str()));
            texts.push((place(), process.directory.as_str()));
            texts.extend(said(process).map(|text| (place(), text)));
            for probe in process.liveness.iter().map(|liveness| &liveness.probe) {
                texts.push((place(), probe.target.as_str()));
                texts.extend(probe.arguments.iter().chain(probe.env.values()).map(|text| (place(), text.as_str())));
            }
        }
        for filled in &self.filled {
            let place = || format!("role `{}`", filled.role);
            texts.extend([(place(), filled.url.as_str()), (place(), filled.probe.target.as_str())]);
            texts.extend(filled.probe.arguments.iter().map(|text| (place(), text.as_str())));
        }
        for image in &self.builds {
            let place = || format!("image `{}`", image.reference);
            texts.extend(image.parts.iter().map(|(_, text)| (place(), text.as_str())));
        }
        texts.extend(self.variables.iter().map(|(name, value)| (format!("variable `{name}`"), value.as_str())));
        texts.extend(self.manifests.iter().map(|(name, yaml)| (format!("manifest `{name}`"), yaml.as_str())));
        texts
    }
}

/// What a process is told: arguments and environment.
pub(super) fn said(process: &Process) -> impl Iterator<Item = &str> {
    process.args.iter().chain(process.env.values()).map(String::as_str)
}

/// Takes a plan, and refuses when it is its turn.
pub(super) struct Taker {
    pub(super) taken: Taken,
    pub(super) turn: Arc<Turn>,
}

impl Taker {
    pub(super) fn new(turn: Arc<Turn>) -> Self {
        Self { taken: Taken::default(), turn }
    }

    fn take(&mut self, what: &str, name: &str, f: impl FnOnce(&mut Taken)) -> AbiResult<()> {
        if let Err(refused) = self.turn.ask(&format!("{what} `{name}`"), true) {
            return RResult::RErr(refused.into());
        }
        f(&mut self.taken);
        RResult::ROk(())
    }
}

impl AbiPlanner for Taker {
    fn directory(&mut self, path: RStr<'_>, mode: u32) -> AbiResult<()> {
        let written = Written { path: path.into(), content: None, mode };
        self.take("directory", path.as_str(), |taken| taken.written.push(written))
    }

    fn file(&mut self, path: RStr<'_>, content: RStr<'_>, mode: u32) -> AbiResult<()> {
        let written = Written { path: path.into(), content: Some(content.into()), mode };
        self.take("file", path.as_str(), |taken| taken.written.push(written))
    }

    fn process(&mut self, process: AbiProcess) -> AbiResult<()> {
        let process = Process::from(process);
        self.take("process", &process.name.clone(), |taken| taken.processes.push(process))
    }

    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()> {
        let filled = Filled { role: role.into(), url: url.into(), probe: probe.into() };
        self.take("role", role.as_str(), |taken| taken.filled.push(filled))
    }

    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()> {
        self.take("manifest", name.as_str(), |taken| taken.manifests.push((name.into(), yaml.into())))
    }

    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()> {
        self.take("image", reference.as_str(), |taken| taken.images.push(reference.into()))
    }

    fn build(&mut self, reference: RStr<'_>, parts: RVec<Tuple2<RString, RString>>) -> AbiResult<()> {
        let parts = parts.into_iter().map(|Tuple2(part, value)| (part.into(), value.into())).collect();
        let image = ImageBuild { reference: reference.into(), parts };
        self.take("image", reference.as_str(), |taken| taken.builds.push(image))
    }

    fn variable(&mut self, name: RStr<'_>, value: RStr<'_>) -> AbiResult<()> {
        self.take("variable", name.as_str(), |taken| taken.variables.push((name.into(), value.into())))
    }
}
