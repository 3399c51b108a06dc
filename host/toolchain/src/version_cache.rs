//! Asks programs for their version, and remembers the results: a program whose file hasn't changed
//! since (size, modification time, inode) isn't run again.
//!
//! This module must not know which versions are required. A missing or broken cache file only costs
//! time.

use super::command;
use super::table::ToolSpec;
use super::version;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why the version of a program is unknown.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The table doesn't say how to ask for it.
    #[error("it can't be asked for its version")]
    NoQuery,
    /// The file can't be examined.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The program.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The program can't be run, or doesn't respond.
    #[error("`{command}` failed: {cause}")]
    Run {
        /// The command line.
        command: String,
        /// The cause.
        cause: io::Error,
    },
    /// The output has no version.
    #[error("`{command}` printed no version ({status}), {}", shown(printed))]
    NotPrinted {
        /// The command line.
        command: String,
        /// The exit status.
        status: ExitStatus,
        /// The last lines of the output.
        printed: String,
    },
}

fn shown(printed: &str) -> String {
    if printed.is_empty() { "its output is empty".to_owned() } else { format!("its output is:\n{printed}") }
}

/// The version of a program, with the state of the file and the question that it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cached {
    size: u64,
    modified: (i64, i64),
    inode: u64,
    question: String,
    version: Version,
}

/// The versions of programs, in `versions.json`.
pub struct VersionCache {
    file: PathBuf,
    known: BTreeMap<PathBuf, Cached>,
    changed: bool,
}

impl VersionCache {
    /// Reads the file.
    pub fn read(file: PathBuf) -> Self {
        let known = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, known, changed: false }
    }

    /// The version of a program, and whether the program was run for it.
    ///
    /// # Errors
    /// The program doesn't print a version.
    pub fn version(&mut self, path: &Path, spec: &ToolSpec) -> Result<(Version, bool), VersionError> {
        let after = spec.after.as_deref().ok_or(VersionError::NoQuery)?;
        let meta = fs::metadata(path).map_err(|cause| VersionError::Unreadable { path: path.to_owned(), cause })?;
        let question = format!("{} => {after}", spec.ask.join(" "));
        let modified = (meta.mtime(), meta.mtime_nsec());
        let same = |cached: &&Cached| {
            (cached.size, cached.modified, cached.inode) == (meta.size(), modified, meta.ino())
                && cached.question == question
        };
        if let Some(cached) = self.known.get(path).filter(same) {
            return Ok((cached.version.clone(), false));
        }
        let version = ask(path, &spec.ask, after)?;
        let cached = Cached { size: meta.size(), modified, inode: meta.ino(), question, version: version.clone() };
        self.known.insert(path.to_owned(), cached);
        self.changed = true;
        Ok((version, true))
    }

    /// Writes the file if anything changed. A failure isn't an error: the programs are asked again.
    pub fn save(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        self.known.retain(|path, _| path.exists());
        let write = || {
            fs::create_dir_all(self.file.parent().unwrap_or(Path::new("/")))?;
            let temporary = self.file.with_extension(format!("json.{}", std::process::id()));
            fs::write(&temporary, serde_json::to_vec_pretty(&self.known)?)?;
            fs::rename(temporary, &self.file)
        };
        if let Err(error) = write() {
            log::debug!("{} can't be written: {error}", self.file.display());
        }
    }
}

fn ask(path: &Path, arguments: &[String], after: &str) -> Result<Version, VersionError> {
    let command =
        [path.display().to_string()].iter().chain(arguments).map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut program = command::program(path);
    program.args(arguments);
    let output = match command::query(program) {
        Ok(output) => output,
        Err(cause) => return Err(VersionError::Run { command, cause }),
    };
    version::find(&output.text, after).ok_or_else(|| VersionError::NotPrinted {
        command,
        status: output.status,
        printed: command::last_lines(&output.text),
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(path: &Path, text: &str) {
        fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_program_is_run_once_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (file, program) = (dir.path().join("versions.json"), dir.path().join("crio"));
        let spec = &Table::embedded().tool["crio"];
        let version = |text: &str| Version::parse(text).unwrap();
        script(&program, "echo crio version 1.2.3");
        let mut cache = VersionCache::read(file.clone());
        assert_eq!(cache.version(&program, spec).unwrap(), (version("1.2.3"), true));
        cache.save();
        let mut later = VersionCache::read(file);
        assert_eq!(later.version(&program, spec).unwrap(), (version("1.2.3"), false));
        script(&program, "echo crio version 1.20.30");
        assert_eq!(later.version(&program, spec).unwrap(), (version("1.20.30"), true));
    }

    #[test]
    fn the_output_of_a_program_that_prints_no_version_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("crio");
        script(&program, "echo cannot open shared object; exit 127");
        let mut cache = VersionCache::read(dir.path().join("v.json"));
        let error = cache.version(&program, &Table::embedded().tool["crio"]).unwrap_err().to_string();
        assert!(error.contains("crio --version` printed no version (exit status: 127), its output is:"), "{error}");
        assert!(error.ends_with("\ncannot open shared object"), "{error}");
    }
}
