//! Images that the host builds for a component: out of files of this machine, so that no registry is asked.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file of this machine in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageFile {
    /// Where it lies in the image: absolute.
    pub path: String,
    /// Where it lies here: absolute, such as [`Context::executable`](crate::Context::executable) gives. What an image runs has
    /// to be linked statically, as nothing else is in there.
    pub source: String,
    /// Permission bits in the image.
    pub mode: u32,
}

/// An image of one layer, the same bytes for the same files. The host builds it before pods need it and imports it into every
/// node's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageBuild {
    /// The whole name: `kubernix.local/coredns:1.14.1`.
    pub reference: String,
    /// Files, owned by root.
    pub files: Vec<ImageFile>,
    /// Symbolic links: where each lies, and what it says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// The program that containers run, with its first arguments.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// The environment of containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Who runs the program: `65532:65532`. Empty: root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

impl ImageBuild {
    /// An empty image of this name.
    pub fn new(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            files: Vec::new(),
            links: BTreeMap::new(),
            entrypoint: Vec::new(),
            env: BTreeMap::new(),
            user: String::new(),
        }
    }

    /// Adds a program: a file of mode 0755.
    #[must_use]
    pub fn program(self, path: impl Into<String>, source: impl Into<String>) -> Self {
        self.file(path, source, 0o755)
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, source: impl Into<String>, mode: u32) -> Self {
        self.files.push(ImageFile { path: path.into(), source: source.into(), mode });
        self
    }

    /// Adds a symbolic link at `path`.
    #[must_use]
    pub fn link(mut self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.links.insert(path.into(), target.into());
        self
    }

    /// Sets the program that containers run, with its first arguments.
    #[must_use]
    pub fn entrypoint<A: Into<String>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.entrypoint = command.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a variable of containers' environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets who runs the program: `65532:65532`.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }
}
