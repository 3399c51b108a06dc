//! A component's plan as data: files, processes, endpoints and objects. `kubernix plan` prints it
//! and golden tests compare it.

use crate::{Error, Probe, Process, Result, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A directory to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Directory {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
}

/// A file to write. If a user edited it since the host last wrote it, the host keeps and reports
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct File {
    /// Absolute path; its parents are created with mode 0700.
    pub path: String,
    /// The whole content.
    pub content: String,
    /// Permission bits.
    pub mode: u32,
}

/// A role that the component fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// The role.
    pub role: Role,
    /// Its address: `https://IP:PORT`, `unix://PATH`, or empty if it has none.
    pub url: String,
    /// The condition for its readiness.
    pub probe: Probe,
}

/// Kubernetes objects to apply once the API server is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Its name in messages.
    pub name: String,
    /// YAML, one or more documents.
    pub yaml: String,
}

impl Manifest {
    /// Names a set of objects.
    pub fn new(name: impl Into<String>, yaml: impl Into<String>) -> Self {
        Self { name: name.into(), yaml: yaml.into() }
    }
}

/// An image that the host builds, see [`Planner::build`](crate::Planner::build).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageBuild {
    /// The full name: `kubernix.local/coredns:1.14.1`.
    pub reference: String,
    /// Its parts.
    pub parts: Vec<(String, String)>,
}

/// What a component wants the host to do, in the component's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Plan {
    /// Directories, created before files.
    pub directories: Vec<Directory>,
    /// Files, written before processes start.
    pub files: Vec<File>,
    /// Processes, started in this order.
    pub processes: Vec<Process>,
    /// Roles that it fills, each with its probe.
    pub provides: Vec<Endpoint>,
    /// Objects for the API server.
    pub manifests: Vec<Manifest>,
    /// Images that its pods need, by reference.
    pub images: Vec<String>,
    /// Images that the host builds for its pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<ImageBuild>,
    /// Variables for users' shells: the component's clients read its address from them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl Plan {
    /// Adds a directory.
    pub fn directory(&mut self, directory: Directory) {
        self.directories.push(directory);
    }

    /// Adds a file.
    ///
    /// # Errors
    /// The plan has a file of this path already.
    pub fn file(&mut self, file: File) -> Result<()> {
        unique("file", &file.path, self.files.iter().map(|f| &*f.path))?;
        self.files.push(file);
        Ok(())
    }

    /// Adds a process.
    ///
    /// # Errors
    /// The plan has a process of this name already.
    pub fn process(&mut self, process: Process) -> Result<()> {
        unique("process", &process.name, self.processes.iter().map(|p| &*p.name))?;
        self.processes.push(process);
        Ok(())
    }

    /// Fills a role.
    ///
    /// # Errors
    /// The plan fills this role already.
    pub fn provide(&mut self, endpoint: Endpoint) -> Result<()> {
        unique("role", endpoint.role.as_str(), self.provides.iter().map(|p| p.role.as_str()))?;
        self.provides.push(endpoint);
        Ok(())
    }
}

fn unique<'a>(what: &str, name: &str, mut others: impl Iterator<Item = &'a str>) -> Result<()> {
    if others.any(|other| other == name) {
        return Err(Error::invalid(format!("the plan names {what} `{name}` twice")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_name_is_rejected() {
        let mut plan = Plan::default();
        plan.process(Process::new("etcd", "/bin/etcd")).unwrap();
        let error = plan.process(Process::new("etcd", "/bin/other")).unwrap_err();
        assert_eq!(error.to_string(), "the plan names process `etcd` twice");
        assert_eq!(plan.processes.len(), 1);
    }
}
