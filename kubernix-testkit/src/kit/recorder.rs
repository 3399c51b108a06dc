//! A planner that records everything, so that checks can name each defect. The host's own planner
//! rejects a plan at its first defect.

use super::fault::CallFault;
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

/// A role with its endpoint and probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) role: String,
    pub(super) url: String,
    pub(super) probe: Probe,
}

/// A plan without any checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecordedPlan {
    pub(super) written: Vec<Written>,
    pub(super) processes: Vec<Process>,
    pub(super) filled: Vec<Filled>,
    pub(super) manifests: Vec<(String, String)>,
    pub(super) images: Vec<String>,
    pub(super) builds: Vec<ImageBuild>,
    pub(super) variables: Vec<(String, String)>,
}

impl RecordedPlan {
    /// Every text in it, each with the name of its place.
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
            texts.extend(process_texts(process).map(|text| (place(), text)));
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

/// The arguments and environment of a process.
pub(super) fn process_texts(process: &Process) -> impl Iterator<Item = &str> {
    process.args.iter().chain(process.env.values()).map(String::as_str)
}

/// Records a plan, and fails the call that `fault` selects.
pub(super) struct Recorder {
    pub(super) plan: RecordedPlan,
    pub(super) fault: Arc<CallFault>,
}

impl Recorder {
    pub(super) fn new(fault: Arc<CallFault>) -> Self {
        Self { plan: RecordedPlan::default(), fault }
    }

    fn record(&mut self, what: &str, name: &str, f: impl FnOnce(&mut RecordedPlan)) -> AbiResult<()> {
        if let Err(refused) = self.fault.check(&format!("{what} `{name}`"), true) {
            return RResult::RErr(refused.into());
        }
        f(&mut self.plan);
        RResult::ROk(())
    }
}

impl AbiPlanner for Recorder {
    fn directory(&mut self, path: RStr<'_>, mode: u32) -> AbiResult<()> {
        let written = Written { path: path.into(), content: None, mode };
        self.record("directory", path.as_str(), |plan| plan.written.push(written))
    }

    fn file(&mut self, path: RStr<'_>, content: RStr<'_>, mode: u32) -> AbiResult<()> {
        let written = Written { path: path.into(), content: Some(content.into()), mode };
        self.record("file", path.as_str(), |plan| plan.written.push(written))
    }

    fn process(&mut self, process: AbiProcess) -> AbiResult<()> {
        let process = Process::from(process);
        self.record("process", &process.name.clone(), |plan| plan.processes.push(process))
    }

    fn provide(&mut self, role: RStr<'_>, url: RStr<'_>, probe: AbiProbe) -> AbiResult<()> {
        let filled = Filled { role: role.into(), url: url.into(), probe: probe.into() };
        self.record("role", role.as_str(), |plan| plan.filled.push(filled))
    }

    fn manifest(&mut self, name: RStr<'_>, yaml: RStr<'_>) -> AbiResult<()> {
        self.record("manifest", name.as_str(), |plan| plan.manifests.push((name.into(), yaml.into())))
    }

    fn image(&mut self, reference: RStr<'_>) -> AbiResult<()> {
        self.record("image", reference.as_str(), |plan| plan.images.push(reference.into()))
    }

    fn build(&mut self, reference: RStr<'_>, parts: RVec<Tuple2<RString, RString>>) -> AbiResult<()> {
        let parts = parts.into_iter().map(|Tuple2(part, value)| (part.into(), value.into())).collect();
        let image = ImageBuild { reference: reference.into(), parts };
        self.record("image", reference.as_str(), |plan| plan.builds.push(image))
    }

    fn variable(&mut self, name: RStr<'_>, value: RStr<'_>) -> AbiResult<()> {
        self.record("variable", name.as_str(), |plan| plan.variables.push((name.into(), value.into())))
    }
}
