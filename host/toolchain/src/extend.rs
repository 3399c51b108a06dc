//! Adds the tables of manifests to a table. Must not change an entry that exists.

use super::table::{GoModule, Table};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An entry that two files describe differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: [{entry}] is already described differently by {}: give it another name", path.display(), author(other))]
pub struct Conflict {
    /// The file that can't be added.
    pub path: PathBuf,
    /// The entry: `tool.runc`.
    pub entry: String,
    /// The file that was added before; `None` for our own table.
    pub other: Option<PathBuf>,
}

fn author(file: &Option<PathBuf>) -> String {
    file.as_ref().map_or_else(|| "KuberNix itself".to_owned(), |path| path.display().to_string())
}

impl PartialEq for GoModule {
    fn eq(&self, other: &Self) -> bool {
        let parts =
            |m: &Self| (m.version.clone(), m.cgo, m.c_flags.clone(), m.tags.clone(), m.stamp.clone(), m.needs.clone());
        // The content of pins is compared, not their directory.
        self.pins == other.pins && parts(self) == parts(other)
    }
}

impl Table {
    /// Adds the table of a file. An entry that exists and is equal isn't added again.
    ///
    /// # Errors
    /// An entry, or one of its programs, exists and is different. Nothing is added then.
    pub fn extend(&mut self, more: &Self, path: &Path) -> Result<(), Conflict> {
        let need = self.new_entries(&self.need, &more.need, "need", path)?;
        let go = self.new_entries(&self.go, &more.go, "go", path)?;
        let tool = self.new_entries(&self.tool, &more.tool, "tool", path)?;
        for (name, spec) in &tool {
            // A program is found by its name alone, whether it is a tool or one of a group.
            let programs = spec.programs(name).into_iter().chain([name.clone()]);
            if let Some((other, _)) = programs.into_iter().find_map(|program| self.find(&program)) {
                return Err(self.conflict(path, &format!("tool.{name}"), &format!("tool.{other}")));
            }
        }
        let entries = names(&need, "need").chain(names(&go, "go")).chain(names(&tool, "tool"));
        self.sources.extend(entries.map(|entry| (entry, path.to_owned())));
        self.need.extend(need);
        self.go.extend(go);
        self.tool.extend(tool);
        Ok(())
    }

    fn conflict(&self, path: &Path, entry: &str, other: &str) -> Conflict {
        Conflict { path: path.to_owned(), entry: entry.to_owned(), other: self.sources.get(other).cloned() }
    }

    /// The entries that `ours` doesn't have.
    fn new_entries<T: Clone + PartialEq>(
        &self,
        ours: &BTreeMap<String, T>,
        theirs: &BTreeMap<String, T>,
        section: &str,
        path: &Path,
    ) -> Result<Vec<(String, T)>, Conflict> {
        let mut new = Vec::new();
        for (name, entry) in theirs {
            match ours.get(name) {
                None => new.push((name.clone(), entry.clone())),
                Some(same) if same == entry => {}
                Some(_) => {
                    let entry = format!("{section}.{name}");
                    return Err(self.conflict(path, &entry, &entry));
                }
            }
        }
        Ok(new)
    }
}

fn names<'a, T>(entries: &'a [(String, T)], section: &'a str) -> impl Iterator<Item = String> + 'a {
    entries.iter().map(move |(name, _)| format!("{section}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::super::sections::tests::{MODULE, TOOL, parse};
    use super::*;

    #[test]
    fn an_added_entry_remembers_its_file() {
        let mut table = Table::embedded().clone();
        let more = parse(&format!("{MODULE}needs = [\"c-compiler\"]\n{TOOL}[tool.y]\napt = [\"y\"]\n")).unwrap();
        table.extend(&more, Path::new("/p/x.toml")).unwrap();
        assert_eq!(table.source("x"), Some(Path::new("/p/x.toml")));
        assert_eq!(table.source("crio"), None);
        assert!(table.cache_name("x").unwrap().starts_with("x-1.2.3-"));
        assert_eq!(table.find("y").unwrap().0, "y");
        table.extend(&more, Path::new("/p/again.toml")).unwrap();
        assert_eq!(table.source("x"), Some(Path::new("/p/x.toml")), "an equal entry keeps its file");
    }

    #[test]
    fn a_conflict_names_both_files_and_adds_nothing() {
        let mut table = Table::embedded().clone();
        table.extend(&parse(&format!("{MODULE}{TOOL}")).unwrap(), Path::new("/p/x.toml")).unwrap();
        for (text, entry, by) in [
            ("[tool.runc]\napt = [\"runc\"]\n", "tool.runc", "KuberNix itself"),
            ("[tool.bridge]\napt = [\"iproute2\"]\n", "tool.bridge", "KuberNix itself"),
            ("[need.c-compiler]\ncommand = \"tcc\"\napt = [\"tcc\"]\n", "need.c-compiler", "KuberNix itself"),
            ("[tool.x]\napt = [\"x\"]\n", "tool.x", "/p/x.toml"),
            ("[go.x]\nversion = \"1.2.4\"\ncgo = false\npins = \"pins\"\n", "go.x", "/p/x.toml"),
            ("[tool.g]\ngo = \"cni\"\npackages = [\"a.b/g/x\", \"a.b/g/y\"]\n", "tool.g", "/p/x.toml"),
        ] {
            let error = table.extend(&parse(text).unwrap(), Path::new("/p/y.toml")).unwrap_err().to_string();
            let expected =
                format!("/p/y.toml: [{entry}] is already described differently by {by}: give it another name");
            assert_eq!(error, expected);
        }
        assert!(table.find("g").is_none() && table.find("y").is_none());
    }

    #[test]
    fn an_equal_entry_of_our_own_table_is_no_conflict() {
        let mut table = Table::embedded().clone();
        let more = parse(
            "[tool.skopeo]\nrequires = \">=1.9.0\"\nask = [\"--version\"]\nafter = \"skopeo version \"\napt = [\"skopeo\"]\n",
        );
        table.extend(&more.unwrap(), Path::new("/p/x.toml")).unwrap();
    }
}
