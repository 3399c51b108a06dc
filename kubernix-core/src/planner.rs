//! Takes a component's plan.

use crate::abi::AbiPlanner;
use crate::{Probe, Process, Result};
use abi_stable::std_types::Tuple2;

/// Takes a component's plan, piece by piece. A host object: later minor versions can add methods.
pub struct Planner<'a> {
    inner: &'a mut (dyn AbiPlanner + 'a),
}

impl<'a> Planner<'a> {
    /// Wraps the host's object.
    pub fn new(inner: &'a mut (dyn AbiPlanner + 'a)) -> Self {
        Self { inner }
    }

    /// Creates a directory of mode 0700, and its parents.
    ///
    /// # Errors
    /// The component may not write to this path.
    pub fn directory(&mut self, path: impl AsRef<str>) -> Result<()> {
        self.directory_with_mode(path, 0o700)
    }

    /// Creates a directory with these permission bits; new parents get 0700.
    ///
    /// # Errors
    /// As [`Planner::directory`].
    pub fn directory_with_mode(&mut self, path: impl AsRef<str>, mode: u32) -> Result<()> {
        Ok(self.inner.directory(path.as_ref().into(), mode).into_result()?)
    }

    /// Writes a file of mode 0600 with this content.
    ///
    /// # Errors
    /// The component may not write to this path, or the plan has this file already.
    pub fn file(&mut self, path: impl AsRef<str>, content: impl AsRef<str>) -> Result<()> {
        self.file_with_mode(path, content, 0o600)
    }

    /// Writes an executable script of mode 0700.
    ///
    /// # Errors
    /// As [`Planner::file`].
    pub fn script(&mut self, path: impl AsRef<str>, content: impl AsRef<str>) -> Result<()> {
        self.file_with_mode(path, content, 0o700)
    }

    /// Writes a file with these permission bits.
    ///
    /// # Errors
    /// As [`Planner::file`].
    pub fn file_with_mode(&mut self, path: impl AsRef<str>, content: impl AsRef<str>, mode: u32) -> Result<()> {
        Ok(self.inner.file(path.as_ref().into(), content.as_ref().into(), mode).into_result()?)
    }

    /// Runs a process.
    ///
    /// # Errors
    /// The name is taken, or the program isn't an absolute path.
    pub fn process(&mut self, process: Process) -> Result<()> {
        Ok(self.inner.process((&process).into()).into_result()?)
    }

    /// Fills a role. Its address is `url` (empty: none), and it is ready when the probe passes.
    ///
    /// # Errors
    /// The component doesn't declare the role, or fills it twice.
    pub fn provide(&mut self, role: &str, url: impl AsRef<str>, probe: Probe) -> Result<()> {
        Ok(self.inner.provide(role.into(), url.as_ref().into(), (&probe).into()).into_result()?)
    }

    /// Applies Kubernetes objects, as YAML, once the API server is ready.
    ///
    /// # Errors
    /// The host rejects it.
    pub fn manifest(&mut self, name: &str, yaml: impl AsRef<str>) -> Result<()> {
        Ok(self.inner.manifest(name.into(), yaml.as_ref().into()).into_result()?)
    }

    /// Requests an image that pods will need.
    ///
    /// # Errors
    /// The host rejects it.
    pub fn image(&mut self, reference: &str) -> Result<()> {
        Ok(self.inner.image(reference.into()).into_result()?)
    }

    /// Has the host build an image of one layer for the component's pods, and import it into every
    /// node's store before they need it. The same files always give the same bytes. Parts, each
    /// with its value:
    /// - `program /PATH`: a file of this machine, absolute, in the image at that path with mode
    ///   0755. The program has to be linked statically, since the image has no libraries;
    /// - `link /PATH`: a symbolic link with this target;
    /// - `entrypoint`: the program that containers run, repeated for each of its first arguments;
    /// - `user`: its user and group, `65532:65532`; root by default.
    ///
    /// # Errors
    /// The host rejects it. The parts are checked when the plan is complete.
    pub fn build<'p>(&mut self, name: &str, parts: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<()> {
        let parts = parts.into_iter().map(|(part, value)| Tuple2(part.into(), value.into())).collect();
        Ok(self.inner.build(name.into(), parts).into_result()?)
    }

    /// Sets a variable for users' shells (`kubernix shell`), from which the component's clients
    /// read its address.
    ///
    /// # Errors
    /// The host rejects it.
    pub fn variable(&mut self, name: &str, value: impl AsRef<str>) -> Result<()> {
        Ok(self.inner.variable(name.into(), value.as_ref().into()).into_result()?)
    }
}
