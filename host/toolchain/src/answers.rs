//! Asking programs for their version, each once: a program whose answer is known, and that hasn't
//! changed since (size, modification time, inode), isn't run again.
//!
//! This module must not know which versions are wanted. A missing or broken file of answers only
//! costs time.

use super::command;
use super::table::ToolSpec;
use super::version;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a program may take to tell its version: long enough for a big one on a cold disk.
const PATIENCE: Duration = Duration::from_secs(20);

/// What tells one state of a file from another, and what it answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    size: u64,
    modified: (i64, i64),
    inode: u64,
    question: String,
    version: Version,
}

/// The answers of earlier runs, in `versions.json`.
pub struct Answers {
    file: PathBuf,
    known: BTreeMap<PathBuf, Known>,
    changed: bool,
}

impl Answers {
    /// Reads what is known.
    pub fn read(file: PathBuf) -> Self {
        let known = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, known, changed: false }
    }

    /// The version of a program, asked as the table says, and whether it had to be run.
    ///
    /// # Errors
    /// Says why the program gave no version.
    pub fn version(&mut self, path: &Path, spec: &ToolSpec) -> Result<(Version, bool), String> {
        let after = spec.after.as_deref().ok_or("it can't be asked for its version")?;
        let meta = fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let question = format!("{} => {after}", spec.ask.join(" "));
        let modified = (meta.mtime(), meta.mtime_nsec());
        let same =
            |k: &&Known| (k.size, k.modified, k.inode) == (meta.size(), modified, meta.ino()) && k.question == question;
        if let Some(known) = self.known.get(path).filter(same) {
            return Ok((known.version.clone(), false));
        }
        let version = ask(path, &spec.ask, after)?;
        let known = Known { size: meta.size(), modified, inode: meta.ino(), question, version: version.clone() };
        self.known.insert(path.to_owned(), known);
        self.changed = true;
        Ok((version, true))
    }

    /// Writes down what was learned. A cache that can't be written is no reason to fail.
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

fn ask(path: &Path, arguments: &[String], after: &str) -> Result<Version, String> {
    let asked = [path.display().to_string()].iter().chain(arguments).map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut program = command::program(path);
    program.args(arguments);
    let answer = command::answer(program, PATIENCE).map_err(|e| format!("`{asked}` failed: {e}"))?;
    version::find(&answer.text, after).ok_or_else(|| {
        let printed = command::last_lines(&answer.text);
        let said = if printed.is_empty() { "nothing".to_owned() } else { format!("\n{printed}") };
        format!("`{asked}` told no version ({}), it printed {said}", answer.status)
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
        let mut answers = Answers::read(file.clone());
        assert_eq!(answers.version(&program, spec).unwrap(), (version("1.2.3"), true));
        answers.save();
        let mut later = Answers::read(file);
        assert_eq!(later.version(&program, spec).unwrap(), (version("1.2.3"), false));
        script(&program, "echo crio version 1.20.30");
        assert_eq!(later.version(&program, spec).unwrap(), (version("1.20.30"), true));
    }

    #[test]
    fn a_program_that_tells_no_version_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("crio");
        script(&program, "echo cannot open shared object; exit 127");
        let error =
            Answers::read(dir.path().join("v.json")).version(&program, &Table::embedded().tool["crio"]).unwrap_err();
        assert!(error.contains("crio --version` told no version (exit status: 127)"), "{error}");
        assert!(error.ends_with("\ncannot open shared object"), "{error}");
    }
}
