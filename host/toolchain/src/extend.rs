//! Tables of manifests: read from a plugin's file, checked as our own are by tests, and
//! added to a table.
//!
//! This module must not know what else a manifest says.

use super::pins::{self, Pins};
use super::table::{GoModule, Need, Table, ToolSpec, last_element};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A section of a file, with the place of each name: what `[tool.NAME]` and its kind are read into.
pub type Section<T> = BTreeMap<Spanned<String>, T>;

/// What is wrong with a section, and the bytes of the file where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsound {
    /// Where, in bytes of the file.
    pub at: Range<usize>,
    /// What, with the name of the entry.
    pub reason: String,
}

/// An entry that two files describe, and not alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: [{entry}] is already described otherwise by {}: give it another name", path.display(), by(other))]
pub struct Conflict {
    /// The file that can't be added.
    pub path: PathBuf,
    /// The entry: `tool.runc`.
    pub entry: String,
    /// The file that was there first; none: our own table.
    pub other: Option<PathBuf>,
}

fn by(other: &Option<PathBuf>) -> String {
    other.as_ref().map_or_else(|| "KuberNix itself".to_owned(), |path| path.display().to_string())
}

impl PartialEq for GoModule {
    fn eq(&self, other: &Self) -> bool {
        let parts =
            |m: &Self| (m.version.clone(), m.cgo, m.c_flags.clone(), m.tags.clone(), m.stamp.clone(), m.needs.clone());
        // Where pins lie doesn't matter, what they say does.
        self.pins == other.pins && parts(self) == parts(other)
    }
}

impl Table {
    /// The table that sections of a file make; `dir` is the file's directory, which pins lie below.
    /// Modules and needs that it names may be our own.
    ///
    /// # Errors
    /// The first entry that can't work.
    pub fn of_sections(
        go: Section<GoModule>,
        tool: Section<ToolSpec>,
        need: Section<Need>,
        dir: &Path,
    ) -> Result<Self, Unsound> {
        let mut table = Self::default();
        let at = |name: &Spanned<String>, section: &str| {
            let (at, entry) = (name.span(), format!("[{section}.{}]", name.get_ref()));
            move |reason: String| Unsound { at: at.clone(), reason: format!("{entry}: {reason}") }
        };
        for (name, need) in need {
            check_need(name.get_ref(), &need).map_err(at(&name, "need"))?;
            table.need.insert(name.into_inner(), need);
        }
        for (name, mut module) in go {
            let unsound = at(&name, "go");
            table.check_module(name.get_ref(), &module).map_err(&unsound)?;
            module.pins = match &module.pins_dir {
                Some(below) => Some(Pins::read(dir, below).map_err(&unsound)?),
                // Described again, and perhaps alike: then it is ours.
                None if pins::embedded(name.get_ref()).is_some() => pins::embedded(name.get_ref()),
                None => {
                    let way =
                        format!("pins = \"toolchain/{}\", a directory with its go.mod and go.sum", name.get_ref());
                    return Err(unsound(format!("it isn't pinned: add {way}")));
                }
            };
            table.go.insert(name.into_inner(), module);
        }
        let mut programs = BTreeSet::new();
        for (name, spec) in &tool {
            let unsound = at(name, "tool");
            table.check_tool(name.get_ref(), spec).map_err(&unsound)?;
            for program in spec.programs(name.get_ref()) {
                let twice = format!("the program {program} is described twice");
                programs.insert(program).then_some(()).ok_or_else(|| unsound(twice))?;
            }
        }
        for (name, spec) in &tool {
            let mains = spec.main_packages(name.get_ref());
            let alone = spec.go.as_ref().is_some_and(|go| table.go.contains_key(go))
                && tool.values().filter(|other| other.go == spec.go).count() == 1
                && mains.len() < 2;
            if let Some((package, program)) = mains.iter().find(|(package, program)| last_element(package) != program)
                && !alone
            {
                let made = last_element(package);
                let reason = format!("Go makes {made} of {package}, not {program}: name the tool so, or pin it alone");
                return Err(at(name, "tool")(reason));
            }
        }
        table.tool = tool.into_iter().map(|(name, spec)| (name.into_inner(), spec)).collect();
        Ok(table)
    }

    /// Adds the table of a file. Entries that are described alike already are left as they are.
    ///
    /// # Errors
    /// One is described otherwise already, or one of its programs is; nothing is added then.
    pub fn extend(&mut self, more: &Self, path: &Path) -> Result<(), Conflict> {
        let conflict = |entry: &str, other: &str| Conflict {
            path: path.to_owned(),
            entry: entry.to_owned(),
            other: self.sources.get(other).cloned(),
        };
        let need = new_entries(&self.need, &more.need, "need").map_err(|entry| conflict(&entry, &entry))?;
        let go = new_entries(&self.go, &more.go, "go").map_err(|entry| conflict(&entry, &entry))?;
        let tool = new_entries(&self.tool, &more.tool, "tool").map_err(|entry| conflict(&entry, &entry))?;
        for (name, spec) in &tool {
            // A program must be found by its name alone, be it a tool or one of a group.
            let taken = spec.programs(name).into_iter().chain([name.clone()]).find_map(|program| self.find(&program));
            if let Some((other, _)) = taken {
                return Err(conflict(&format!("tool.{name}"), &format!("tool.{other}")));
            }
        }
        let entries = names(&need, "need").chain(names(&go, "go")).chain(names(&tool, "tool"));
        self.sources.extend(entries.map(|entry| (entry, path.to_owned())));
        self.need.extend(need);
        self.go.extend(go);
        self.tool.extend(tool);
        Ok(())
    }

    fn check_module(&self, name: &str, module: &GoModule) -> Result<(), String> {
        is_name(name)?;
        module.tags.iter().try_for_each(|tag| is_word("the tag", tag))?;
        module.stamp.iter().try_for_each(|stamp| is_word("the stamp", stamp))?;
        self.check_needs(&module.needs)
    }

    fn check_tool(&self, name: &str, spec: &ToolSpec) -> Result<(), String> {
        is_name(name)?;
        spec.programs(name).iter().try_for_each(|program| is_name(program))?;
        self.check_needs(spec.needs.as_deref().unwrap_or_default())?;
        spec.apt.iter().try_for_each(|package| is_word("the package", package))?;
        let sources = spec.package.iter().chain(&spec.packages).chain(&spec.c_module).chain(&spec.c_sources);
        for path in sources {
            is_word("the path", path)?;
            if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                return Err(format!("the path {path} leaves its module"));
            }
        }
        if spec.requires.is_some() && spec.after.is_none() {
            return Err("it requires a version, but `after` doesn't say how it tells one".to_owned());
        }
        let Some(go) = &spec.go else {
            return match spec.apt.is_empty() && spec.requires.is_none() {
                true => Err("nothing can supply it: give `go` and `package`, `apt`, or `requires`".to_owned()),
                false => Ok(()),
            };
        };
        let module = self.go.get(go).or_else(|| Self::embedded().go.get(go));
        let module = module.ok_or_else(|| format!("there is no [go.{go}]"))?;
        if spec.main_packages(name).is_empty() && (spec.c_sources.is_none() || spec.c_module.is_none()) {
            return Err("it has nothing to build: give `package`, `packages`, or `c-module` and `c-sources`".to_owned());
        }
        match &spec.requires {
            Some(requires) if !requires.matches(&module.version) => {
                Err(format!("[go.{go}] builds {}, which doesn't meet its own `requires`, {requires}", module.version))
            }
            _ => Ok(()),
        }
    }

    fn check_needs(&self, needs: &[String]) -> Result<(), String> {
        let known = |need: &&String| self.need.contains_key(*need) || Self::embedded().need.contains_key(*need);
        needs.iter().find(|need| !known(need)).map_or(Ok(()), |need| Err(format!("there is no [need.{need}]")))
    }
}

fn check_need(name: &str, need: &Need) -> Result<(), String> {
    is_name(name)?;
    let words = need.command.iter().chain(&need.header).chain(&need.library).chain(&need.apt);
    words.into_iter().try_for_each(|word| is_word("the value", word))
}

/// Names become names of files, and arguments of compilers.
fn is_name(name: &str) -> Result<(), String> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte));
    match fits && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        true => Ok(()),
        false => Err(format!("the name `{name}` isn't made of letters, digits, and `-_+.` between them")),
    }
}

/// Whether a text is one argument that nothing takes for an option.
fn is_word(what: &str, text: &str) -> Result<(), String> {
    let fits =
        !text.is_empty() && !text.starts_with('-') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if fits { Ok(()) } else { Err(format!("{what} `{text}` isn't one word, or begins with a dash")) }
}

/// The entries that `ours` doesn't have.
///
/// # Errors
/// The first that both have, but not alike: `tool.NAME`.
fn new_entries<T: Clone + PartialEq>(
    ours: &BTreeMap<String, T>,
    theirs: &BTreeMap<String, T>,
    section: &str,
) -> Result<Vec<(String, T)>, String> {
    let mut new = Vec::new();
    for (name, entry) in theirs {
        match ours.get(name) {
            None => new.push((name.clone(), entry.clone())),
            Some(same) if same == entry => {}
            Some(_) => return Err(format!("{section}.{name}")),
        }
    }
    Ok(new)
}

fn names<'a, T>(entries: &'a [(String, T)], section: &'a str) -> impl Iterator<Item = String> + 'a {
    entries.iter().map(move |(name, _)| format!("{section}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::fs;

    /// A file with a pin directory beside it.
    fn read(text: &str) -> Result<Table, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sections {
            #[serde(default)]
            go: Section<GoModule>,
            #[serde(default)]
            tool: Section<ToolSpec>,
            #[serde(default)]
            need: Section<Need>,
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("pins")).unwrap();
        fs::write(
            dir.path().join("pins/go.mod"),
            "module x
",
        )
        .unwrap();
        fs::write(dir.path().join("pins/go.sum"), "").unwrap();
        let Sections { go, tool, need } = toml::from_str(text).unwrap_or_else(|e| panic!("{e}"));
        Table::of_sections(go, tool, need, dir.path()).map_err(|unsound| {
            assert_eq!(text[..unsound.at.start].chars().last(), Some('.'), "it points at the name: {unsound:?}");
            unsound.reason
        })
    }

    const MODULE: &str = "[go.x]\nversion = \"1.2.3\"\ncgo = false\npins = \"pins\"\n";
    const TOOL: &str = "[tool.x]\ngo = \"x\"\npackage = \"example.org/x\"\n";

    #[test]
    fn a_table_of_somebody_else_is_added_and_remembers_its_file() {
        let mut table = Table::embedded().clone();
        let more = read(&format!("{MODULE}needs = [\"c-compiler\"]\n{TOOL}[tool.y]\napt = [\"y\"]\n")).unwrap();
        table.extend(&more, Path::new("/p/x.toml")).unwrap();
        assert_eq!(table.source("x"), Some(Path::new("/p/x.toml")));
        assert_eq!(table.source("crio"), None);
        assert!(table.cache_name("x").unwrap().starts_with("x-1.2.3-"));
        assert_eq!(table.find("y").unwrap().0, "y");
        table.extend(&more, Path::new("/p/again.toml")).unwrap();
        assert_eq!(table.source("x"), Some(Path::new("/p/x.toml")), "what is alike stays what it was");
    }

    #[test]
    fn what_is_described_otherwise_is_refused_with_both_files() {
        let mut table = Table::embedded().clone();
        table.extend(&read(&format!("{MODULE}{TOOL}")).unwrap(), Path::new("/p/x.toml")).unwrap();
        for (text, entry, by) in [
            ("[tool.runc]\napt = [\"runc\"]\n", "tool.runc", "KuberNix itself"),
            ("[tool.bridge]\napt = [\"iproute2\"]\n", "tool.bridge", "KuberNix itself"),
            ("[need.c-compiler]\ncommand = \"tcc\"\napt = [\"tcc\"]\n", "need.c-compiler", "KuberNix itself"),
            ("[tool.x]\napt = [\"x\"]\n", "tool.x", "/p/x.toml"),
            ("[go.x]\nversion = \"1.2.4\"\ncgo = false\npins = \"pins\"\n", "go.x", "/p/x.toml"),
            ("[tool.g]\ngo = \"cni\"\npackages = [\"a.b/g/x\", \"a.b/g/y\"]\n", "tool.g", "/p/x.toml"),
        ] {
            let error = table.extend(&read(text).unwrap(), Path::new("/p/y.toml")).unwrap_err().to_string();
            let expected = format!("/p/y.toml: [{entry}] is already described otherwise by {by}: give it another name");
            assert_eq!(error, expected);
        }
        assert!(table.find("g").is_none() && table.find("y").is_none(), "nothing of a refused table stays");
    }

    #[test]
    fn our_own_entry_repeated_is_no_conflict() {
        let mut table = Table::embedded().clone();
        let more = read(
            "[tool.skopeo]\nrequires = \">=1.9.0\"\nask = [\"--version\"]\nafter = \"skopeo version \"\napt = [\"skopeo\"]\n",
        );
        table.extend(&more.unwrap(), Path::new("/p/x.toml")).unwrap();
    }

    #[test]
    fn what_cant_work_is_told_where_it_stands() {
        for (text, part) in [
            ("[tool.\"../x\"]\napt = [\"x\"]\n".replace("\"../x\"", "-x"), "the name `-x`"),
            ("[tool.x]\n".to_owned(), "nothing can supply it"),
            ("[tool.x]\ngo = \"y\"\npackage = \"a/x\"\n".to_owned(), "there is no [go.y]"),
            (format!("{MODULE}[tool.x]\ngo = \"x\"\n"), "nothing to build"),
            (format!("{MODULE}{TOOL}requires = \"2\"\nafter = \"v\"\n"), "builds 1.2.3, which doesn't meet"),
            (format!("{MODULE}{TOOL}requires = \"1\"\n"), "`after` doesn't say"),
            (format!("{MODULE}[tool.x]\ngo = \"x\"\npackage = \"-toolexec=x\"\n"), "begins with a dash"),
            (format!("{MODULE}[tool.x]\ngo = \"x\"\npackage = \"a/../../x\"\n"), "leaves its module"),
            (format!("{MODULE}stamp = [\"a=b -extld=c\"]\n"), "isn't one word"),
            (format!("{MODULE}needs = [\"moon\"]\n"), "there is no [need.moon]"),
            ("[go.x]\nversion = \"1.0.0\"\ncgo = false\n".to_owned(), "it isn't pinned: add pins = \"toolchain/x\""),
            (MODULE.replace("\"pins\"", "\"../pins\""), "is no directory below"),
            (format!("{MODULE}{TOOL}[tool.y]\ngo = \"x\"\npackage = \"a.b/z\"\n"), "Go makes z of a.b/z, not y"),
            (
                "[tool.x]\napt = [\"x\"]\n[tool.g]\ngo = \"cni\"\npackages = [\"a/x\"]\n".to_owned(),
                "x is described twice",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
