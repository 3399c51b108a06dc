//! Tables of manifests: parsed from a plugin's file, and checked as strictly as tests check our own
//! table.
//!
//! This module must not know what else a manifest contains.

use super::pins::{self, Pins, PinsError};
use super::table::{GoModule, Need, Table, ToolSpec, last_element};
use semver::{Version, VersionReq};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// A section of a file, with the position of each name: `[tool.NAME]` and similar tables.
pub type Section<T> = BTreeMap<Spanned<String>, T>;

/// An entry of a section that can't work.
#[derive(Debug, thiserror::Error)]
#[error("[{entry}]: {problem}")]
pub struct EntryError {
    /// Its position in the file, in bytes.
    pub at: Range<usize>,
    /// The entry: `tool.runc`.
    pub entry: String,
    /// What is wrong with it.
    pub problem: EntryProblem,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryProblem {
    /// A name can't be a file name and an argument of a compiler.
    #[error("the name `{0}` must be made of letters, digits, and `-_+.` between them")]
    Name(String),
    /// A value can't be one argument of a command.
    #[error("{what} `{text}` must be one word that doesn't begin with a dash")]
    Word {
        /// What the value is: `the tag`.
        what: &'static str,
        /// The value.
        text: String,
    },
    /// A path leads out of its module.
    #[error("the path {0} leaves its module")]
    PathLeavesModule(String),
    /// A module of this name isn't compiled in, and the entry has no pins.
    #[error("it isn't pinned: add pins = \"toolchain/{0}\", a directory with its go.mod and go.sum")]
    NotPinned(String),
    /// Its pins can't be read.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// Two entries have a program of the same name.
    #[error("the program {0} is described twice")]
    DuplicateProgram(String),
    /// Go gives the program another name.
    #[error(
        "Go names the program of {package} {made}, not {program}: rename the tool, or give it a pin module of its own"
    )]
    ProgramName {
        /// The program of the entry.
        program: String,
        /// Its main package.
        package: String,
        /// The name that Go gives it.
        made: String,
    },
    /// It has a version requirement, but can't be asked for its version.
    #[error("`requires` needs `after`, the text before the version in the tool's output")]
    NoVersionQuery,
    /// No provider can supply it.
    #[error("no provider can supply it: give `go` and `package`, `apt`, or `requires`")]
    NoProvider,
    /// Its pin module doesn't exist.
    #[error("there is no [go.{0}]")]
    NoModule(String),
    /// It names no sources.
    #[error("it has nothing to build: give `package`, `packages`, or `c-module` and `c-sources`")]
    NoSources,
    /// The version of its pin module isn't one that it accepts.
    #[error("[go.{module}] builds {version}, which doesn't meet its own `requires`, {requires}")]
    VersionMismatch {
        /// The pin module.
        module: String,
        /// The module's version.
        version: Box<Version>,
        /// The versions that the entry accepts.
        requires: VersionReq,
    },
    /// A build requirement doesn't exist.
    #[error("there is no [need.{0}]")]
    NoNeed(String),
}

impl Table {
    /// The table in the sections of a file. Pins are below `dir`, the file's directory. Entries may
    /// refer to modules and needs of our own table.
    ///
    /// # Errors
    /// The first entry that can't work.
    pub fn from_sections(
        go: Section<GoModule>,
        tool: Section<ToolSpec>,
        need: Section<Need>,
        dir: &Path,
    ) -> Result<Self, EntryError> {
        let mut table = Self::default();
        for (name, need) in need {
            check_need(name.get_ref(), &need).map_err(|problem| error(&name, "need", problem))?;
            table.need.insert(name.into_inner(), need);
        }
        for (name, mut module) in go {
            let pins = table.check_module(name.get_ref(), &module).and_then(|()| read_pins(&name, &module, dir));
            module.pins = Some(pins.map_err(|problem| error(&name, "go", problem))?);
            table.go.insert(name.into_inner(), module);
        }
        let mut programs = BTreeSet::new();
        for (name, spec) in &tool {
            table.check_tool(name.get_ref(), spec).map_err(|problem| error(name, "tool", problem))?;
            for program in spec.programs(name.get_ref()) {
                if !programs.insert(program.clone()) {
                    return Err(error(name, "tool", EntryProblem::DuplicateProgram(program)));
                }
            }
        }
        for (name, spec) in &tool {
            let mains = spec.main_packages(name.get_ref());
            // A single program can be given any name.
            let is_alone = spec.go.as_ref().is_some_and(|go| table.go.contains_key(go))
                && tool.values().filter(|other| other.go == spec.go).count() == 1
                && mains.len() < 2;
            let renamed = mains.into_iter().find(|(package, program)| last_element(package) != program);
            if let Some((package, program)) = renamed.filter(|_| !is_alone) {
                let made = last_element(&package).to_owned();
                return Err(error(name, "tool", EntryProblem::ProgramName { program, package, made }));
            }
        }
        table.tool = tool.into_iter().map(|(name, spec)| (name.into_inner(), spec)).collect();
        Ok(table)
    }

    fn check_module(&self, name: &str, module: &GoModule) -> Result<(), EntryProblem> {
        check_name(name)?;
        module.tags.iter().try_for_each(|tag| check_word("the tag", tag))?;
        module.stamp.iter().try_for_each(|stamp| check_word("the stamp", stamp))?;
        self.check_needs(&module.needs)
    }

    fn check_tool(&self, name: &str, spec: &ToolSpec) -> Result<(), EntryProblem> {
        check_name(name)?;
        spec.programs(name).iter().try_for_each(|program| check_name(program))?;
        self.check_needs(spec.needs.as_deref().unwrap_or_default())?;
        spec.apt.iter().try_for_each(|package| check_word("the package", package))?;
        let sources = spec.package.iter().chain(&spec.packages).chain(&spec.c_module).chain(&spec.c_sources);
        for path in sources {
            check_word("the path", path)?;
            if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                return Err(EntryProblem::PathLeavesModule(path.clone()));
            }
        }
        if spec.requires.is_some() && spec.after.is_none() {
            return Err(EntryProblem::NoVersionQuery);
        }
        let Some(go) = &spec.go else {
            let has_provider = !spec.apt.is_empty() || spec.requires.is_some();
            return if has_provider { Ok(()) } else { Err(EntryProblem::NoProvider) };
        };
        let module = self.go.get(go).or_else(|| Self::embedded().go.get(go));
        let module = module.ok_or_else(|| EntryProblem::NoModule(go.clone()))?;
        if spec.main_packages(name).is_empty() && (spec.c_sources.is_none() || spec.c_module.is_none()) {
            return Err(EntryProblem::NoSources);
        }
        match &spec.requires {
            Some(requires) if !requires.matches(&module.version) => Err(EntryProblem::VersionMismatch {
                module: go.clone(),
                version: Box::new(module.version.clone()),
                requires: requires.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn check_needs(&self, needs: &[String]) -> Result<(), EntryProblem> {
        let is_known = |need: &&String| self.need.contains_key(*need) || Self::embedded().need.contains_key(*need);
        needs.iter().find(|need| !is_known(need)).map_or(Ok(()), |need| Err(EntryProblem::NoNeed(need.clone())))
    }
}

fn error(name: &Spanned<String>, section: &str, problem: EntryProblem) -> EntryError {
    EntryError { at: name.span(), entry: format!("{section}.{}", name.get_ref()), problem }
}

/// The pins of a module: those that it names, or ours if a module of this name is compiled in. The
/// entry may describe that module as our table does.
fn read_pins(name: &Spanned<String>, module: &GoModule, dir: &Path) -> Result<Pins, EntryProblem> {
    match &module.pins_dir {
        Some(below) => Ok(Pins::read(dir, below)?),
        None => pins::embedded(name.get_ref()).ok_or_else(|| EntryProblem::NotPinned(name.get_ref().clone())),
    }
}

fn check_need(name: &str, need: &Need) -> Result<(), EntryProblem> {
    check_name(name)?;
    let words = need.command.iter().chain(&need.header).chain(&need.library).chain(&need.apt);
    words.into_iter().try_for_each(|word| check_word("the value", word))
}

/// Checks a name, which becomes a file name and an argument of a compiler.
fn check_name(name: &str) -> Result<(), EntryProblem> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte));
    if fits && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(EntryProblem::Name(name.to_owned()))
    }
}

/// Checks a value, which becomes one argument of a command and must not be taken for an option.
fn check_word(what: &'static str, text: &str) -> Result<(), EntryProblem> {
    let fits =
        !text.is_empty() && !text.starts_with('-') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if fits { Ok(()) } else { Err(EntryProblem::Word { what, text: text.to_owned() }) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde::Deserialize;
    use std::fs;

    /// Parses a file that has a directory `pins` beside it.
    pub fn parse(text: &str) -> Result<Table, EntryError> {
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
        fs::write(dir.path().join("pins/go.mod"), "module x\n").unwrap();
        fs::write(dir.path().join("pins/go.sum"), "").unwrap();
        let Sections { go, tool, need } = toml::from_str(text).unwrap_or_else(|e| panic!("{e}"));
        Table::from_sections(go, tool, need, dir.path())
    }

    pub const MODULE: &str = "[go.x]\nversion = \"1.2.3\"\ncgo = false\npins = \"pins\"\n";
    pub const TOOL: &str = "[tool.x]\ngo = \"x\"\npackage = \"example.org/x\"\n";

    #[test]
    fn an_entry_that_cannot_work_is_rejected_at_its_name() {
        for (text, part) in [
            ("[tool.-x]\napt = [\"x\"]\n".to_owned(), "the name `-x`"),
            ("[tool.x]\n".to_owned(), "no provider can supply it"),
            ("[tool.x]\ngo = \"y\"\npackage = \"a/x\"\n".to_owned(), "there is no [go.y]"),
            (format!("{MODULE}[tool.x]\ngo = \"x\"\n"), "nothing to build"),
            (format!("{MODULE}{TOOL}requires = \"2\"\nafter = \"v\"\n"), "builds 1.2.3, which doesn't meet"),
            (format!("{MODULE}{TOOL}requires = \"1\"\n"), "`requires` needs `after`"),
            (format!("{MODULE}[tool.x]\ngo = \"x\"\npackage = \"-toolexec=x\"\n"), "doesn't begin with a dash"),
            (format!("{MODULE}[tool.x]\ngo = \"x\"\npackage = \"a/../../x\"\n"), "leaves its module"),
            (format!("{MODULE}stamp = [\"a=b -extld=c\"]\n"), "must be one word"),
            (format!("{MODULE}needs = [\"moon\"]\n"), "there is no [need.moon]"),
            ("[go.x]\nversion = \"1.0.0\"\ncgo = false\n".to_owned(), "it isn't pinned: add pins = \"toolchain/x\""),
            (MODULE.replace("\"pins\"", "\"../pins\""), "isn't a directory below"),
            (
                format!("{MODULE}{TOOL}[tool.y]\ngo = \"x\"\npackage = \"a.b/z\"\n"),
                "Go names the program of a.b/z z, not y",
            ),
            (
                "[tool.x]\napt = [\"x\"]\n[tool.g]\ngo = \"cni\"\npackages = [\"a/x\"]\n".to_owned(),
                "x is described twice",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert_eq!(text[..error.at.start].chars().last(), Some('.'), "it points at the name: {error:?}");
        }
    }
}
