//! Where a component says what it wants.

use crate::abi::AbiPlanner;
use crate::{Probe, Process, Result};
use abi_stable::std_types::Tuple2;

/// Takes a component's plan, piece by piece. A host object: later minor versions can take more.
pub struct Planner<'a> {
    inner: &'a mut (dyn AbiPlanner + 'a),
}

impl<'a> Planner<'a> {
    /// Wraps the host's object.
    pub fn new(inner: &'a mut (dyn AbiPlanner + 'a)) -> Self {
        Self { inner }
    }

    /// Makes a directory of mode 0700, and its parents.
    ///
    /// # Errors
    /// The path is outside of what the component may write.
    pub fn directory(&mut self, path: impl AsRef<str>) -> Result<()> {
        self.directory_with_mode(path, 0o700)
    }

    /// Makes a directory with these permission bits; parents that aren't there get 0700.
    ///
    /// # Errors
    /// As [`Planner::directory`].
    pub fn directory_with_mode(&mut self, path: impl AsRef<str>, mode: u32) -> Result<()> {
        Ok(self.inner.directory(path.as_ref().into(), mode).into_result()?)
    }

    /// Writes a file of mode 0600 (`content` is all of it).
    ///
    /// # Errors
    /// The path is outside of what the component may write, or named twice.
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

    /// Runs a process for as long as the cluster lives.
    ///
    /// # Errors
    /// The name is taken, or the program isn't an absolute path.
    pub fn process(&mut self, process: Process) -> Result<()> {
        Ok(self.inner.process((&process).into()).into_result()?)
    }

    /// Fills a role: it answers at `url` (empty: no address) and is ready when the probe passes.
    ///
    /// # Errors
    /// The component doesn't declare the role, or fills it twice.
    pub fn provide(&mut self, role: &str, url: impl AsRef<str>, probe: Probe) -> Result<()> {
        Ok(self.inner.provide(role.into(), url.as_ref().into(), (&probe).into()).into_result()?)
    }

    /// Applies Kubernetes objects, as YAML, once the API server is ready.
    ///
    /// # Errors
    /// The host doesn't take it.
    pub fn manifest(&mut self, name: &str, yaml: impl AsRef<str>) -> Result<()> {
        Ok(self.inner.manifest(name.into(), yaml.as_ref().into()).into_result()?)
    }

    /// Says that pods will need this image.
    ///
    /// # Errors
    /// The host doesn't take it.
    pub fn image(&mut self, reference: &str) -> Result<()> {
        Ok(self.inner.image(reference.into()).into_result()?)
    }

    /// Has the host build an image for the component's pods, of one layer and the same bytes for
    /// the same files, and import it into every node's store before they need it. Parts, each with
    /// its value:
    /// - `program /PATH`: a file of this machine, absolute, in the image at that path with mode
    ///   0755. What runs has to be linked statically, as nothing else is in there;
    /// - `link /PATH`: a symbolic link, and what it says;
    /// - `entrypoint`: the program that containers run, and once more for each of its first
    ///   arguments;
    /// - `user`: the user that it runs as, `65532:65532`; root without it.
    ///
    /// # Errors
    /// The host doesn't take it. What a part says is checked when the whole plan is there.
    pub fn build<'p>(&mut self, name: &str, parts: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<()> {
        let parts = parts.into_iter().map(|(part, value)| Tuple2(part.into(), value.into())).collect();
        Ok(self.inner.build(name.into(), parts).into_result()?)
    }

    /// Sets a variable of users' shells (`kubernix shell`), by which clients of the component find
    /// it.
    ///
    /// # Errors
    /// The host doesn't take it.
    pub fn variable(&mut self, name: &str, value: impl AsRef<str>) -> Result<()> {
        Ok(self.inner.variable(name.into(), value.as_ref().into()).into_result()?)
    }
}
