//! Writes the rules of the preloaded library, and counts the failed calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of rules. No call fails before [`Rules::arm`].
pub struct Rules {
    path: PathBuf,
    count: usize,
}

/// A rule: calls on matching paths fail with this error, up to a number of times.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `spawn`, `fork`, `open`, `write`, `sync`, `rename` or `mkdir`.
    pub call: &'static str,
    /// The paths; `*` stands for any text.
    pub glob: String,
    /// errno(3).
    pub errno: i32,
    /// The probability in permille.
    pub permille: u32,
    /// The maximum number of failed calls.
    pub count: u32,
}

impl Rules {
    /// Writes the rules to this file.
    ///
    /// # Panics
    /// It can't be written.
    pub fn write(path: PathBuf, seed: u64, rules: &[Rule]) -> Self {
        let line = |rule: &Rule| {
            let Rule { call, glob, errno, permille, count } = rule;
            format!("{call} {glob} {errno} {permille} {count}\n")
        };
        let text = format!("seed {seed}\n{}", rules.iter().map(line).collect::<String>());
        fs::write(&path, text).expect("a file of rules");
        Self { path, count: rules.len() }
    }

    /// Sets the environment of a command so that it and its children load the library with these
    /// rules.
    pub fn apply<'a>(&self, command: &'a mut Command, library: &Path) -> &'a mut Command {
        command.env("LD_PRELOAD", library).env("FAULT_RULES", &self.path)
    }

    /// Enables the rule with this index.
    ///
    /// # Panics
    /// The file of the armed rule can't be written.
    pub fn arm(&self, rule: usize) {
        fs::write(self.beside(&format!(".armed.{rule}")), "").expect("a mark");
    }

    /// Disables all rules.
    pub fn disarm(&self) {
        for rule in 0..self.count {
            // The file is missing if the rule isn't armed.
            let _ = fs::remove_file(self.beside(&format!(".armed.{rule}")));
        }
    }

    /// The number of failed calls.
    pub fn hits(&self) -> usize {
        let hits = |index| fs::metadata(self.beside(&format!(".hits.{index}"))).map_or(0, |file| file.len());
        (0..self.count).map(hits).sum::<u64>().try_into().unwrap_or(usize::MAX)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_and_hits_counted() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("rules");
        let rule = Rule { call: "open", glob: "*/run/*".to_owned(), errno: 28, permille: 500, count: 3 };
        let rules = Rules::write(path.clone(), 9, &[rule.clone(), rule]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "seed 9\nopen */run/* 28 500 3\nopen */run/* 28 500 3\n");
        assert_eq!(rules.hits(), 0);
        fs::write(place.path().join("rules.hits.1"), "...").unwrap();
        assert_eq!(rules.hits(), 3);
        rules.arm(1);
        assert!(place.path().join("rules.armed.1").exists());
        rules.disarm();
        assert!(!place.path().join("rules.armed.1").exists());
    }
}
