//! The table of tools, with their pins. Ours is compiled in, and manifests add to it.
//!
//! This module must not look at the machine: it is data, read once.

use super::pins::{self, Pins};
use crate::text::digits;
use semver::{Version, VersionReq};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, OnceLock};

/// Build tags of every module. Modules with and without cgo then use the same packages `net` and
/// `os/user`, and share all packages that import them.
const SHARED_TAGS: [&str; 2] = ["netgo", "osusergo"];

/// The tools, and how to get each. `toolchain/tools.toml` explains every field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Go pin modules.
    pub go: BTreeMap<String, GoModule>,
    /// Tools.
    pub tool: BTreeMap<String, ToolSpec>,
    /// Build requirements.
    pub need: BTreeMap<String, Need>,
    /// The files that added entries, by `SECTION.NAME`. Entries that aren't here are our own.
    #[serde(skip)]
    pub(super) sources: BTreeMap<String, PathBuf>,
}

/// How the tools of a pin module are built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoModule {
    /// In a manifest, the directory of its go.mod and go.sum, below the manifest's own.
    #[serde(rename = "pins")]
    pub pins_dir: Option<String>,
    /// The version that its tools report.
    pub version: Version,
    /// Whether it is built with cgo.
    pub cgo: bool,
    /// Build tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Flags of the C compiler that replace Go's `-g -O2`.
    #[serde(default, rename = "c-flags")]
    pub c_flags: Option<String>,
    /// `VARIABLE=VALUE` for the linker.
    #[serde(default)]
    pub stamp: Vec<String>,
    /// Names of build requirements.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The hash of pins and flags, once it is computed.
    #[serde(skip)]
    digest: OnceLock<[u8; 32]>,
    /// Its go.mod and go.sum.
    #[serde(skip)]
    pub(super) pins: Option<Pins>,
}

/// A tool, or a group of programs that share one directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ToolSpec {
    /// Versions that fit.
    pub requires: Option<VersionReq>,
    /// The arguments that make it print its version.
    #[serde(default)]
    pub ask: Vec<String>,
    /// The text before the version in its output. Without it, the tool can't be asked.
    pub after: Option<String>,
    /// Its pin module.
    pub go: Option<String>,
    /// Its main package.
    pub package: Option<String>,
    /// The main packages of a group.
    #[serde(default)]
    pub packages: Vec<String>,
    /// The Go module that carries its C sources.
    pub c_module: Option<String>,
    /// The directory of C files in that module.
    pub c_sources: Option<String>,
    /// Build requirements, if they differ from its pin module's.
    pub needs: Option<Vec<String>>,
    /// Debian packages.
    #[serde(default)]
    pub apt: Vec<String>,
}

/// A build requirement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// A program that must be on PATH.
    pub command: Option<String>,
    /// A header that the C compiler must find.
    pub header: Option<String>,
    /// A library that pkg-config must know.
    pub library: Option<String>,
    /// Debian packages.
    pub apt: Vec<String>,
}

impl ToolSpec {
    /// Whether this is several programs in one directory.
    pub fn is_group(&self) -> bool {
        !self.packages.is_empty()
    }

    /// The names of its programs; `name` is the tool's own.
    pub fn programs(&self, name: &str) -> Vec<String> {
        if self.is_group() {
            self.packages.iter().map(|p| last_element(p).to_owned()).collect()
        } else {
            vec![name.to_owned()]
        }
    }

    /// The Go main packages that it is built from, each with its program.
    pub fn main_packages(&self, name: &str) -> Vec<(String, String)> {
        let own = self.package.iter().map(|p| (p.clone(), name.to_owned()));
        own.chain(self.packages.iter().map(|p| (p.clone(), last_element(p).to_owned()))).collect()
    }
}

impl Table {
    /// The compiled-in table.
    pub fn embedded() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            Table::parse(include_str!("../../../toolchain/tools.toml")).expect("a test reads the embedded table")
        });
        &TABLE
    }

    /// Parses a table whose pins are compiled in.
    pub(super) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut table: Self = toml::from_str(text)?;
        for (name, module) in &mut table.go {
            module.pins = pins::embedded(name);
        }
        Ok(table)
    }

    /// The tool or group of a name: its own, or that of one of its programs.
    pub fn find(&self, name: &str) -> Option<(&str, &ToolSpec)> {
        let holds =
            |(tool, spec): &(&String, &ToolSpec)| spec.is_group() && spec.programs(tool).iter().any(|p| p == name);
        self.tool.get_key_value(name).or_else(|| self.tool.iter().find(holds)).map(|(name, spec)| (name.as_str(), spec))
    }

    /// The pin module of a tool, with its name.
    pub fn module(&self, spec: &ToolSpec) -> Option<(&str, &GoModule)> {
        self.go.get_key_value(spec.go.as_deref()?).map(|(name, module)| (name.as_str(), module))
    }

    /// The pins of a pin module.
    pub fn pins(&self, module: &str) -> Option<&Pins> {
        self.go.get(module)?.pins.as_ref()
    }

    /// The file that added a tool; `None` for our own.
    pub fn source(&self, tool: &str) -> Option<&std::path::Path> {
        self.sources.get(&format!("tool.{tool}")).map(PathBuf::as_path)
    }

    /// The version in which a tool is built from source.
    pub fn version(&self, spec: &ToolSpec) -> Option<&Version> {
        self.module(spec).map(|(_, module)| &module.version)
    }

    /// The names of a tool's build requirements.
    pub fn needs<'a>(&'a self, spec: &'a ToolSpec) -> &'a [String] {
        let of_module = || self.module(spec).map(|(_, module)| module.needs.as_slice());
        spec.needs.as_deref().or_else(of_module).unwrap_or_default()
    }

    /// The name of a tool's directory in the cache, `NAME-VERSION-HASH`. The hash covers pins and
    /// flags, so that a change of either is built in a new directory.
    pub fn cache_name(&self, name: &str) -> Option<String> {
        let spec = self.tool.get(name)?;
        let (_, module) = self.module(spec)?;
        let pins = module.pins.as_ref()?;
        // Hashing the pins takes longest, and all tools of a module share them.
        let shared = module.digest.get_or_init(|| {
            let cgo = if module.cgo { module.c_flags.as_deref().unwrap_or("cgo") } else { "" };
            let flags = [&module.flags().join(","), cgo, std::env::consts::ARCH].join(";");
            Sha256::new()
                .chain_update(flags)
                .chain_update(pins.go_mod.as_bytes())
                .chain_update(pins.go_sum.as_bytes())
                .chain_update(pins.main_go.unwrap_or_default().as_bytes())
                .finalize()
                .into()
        });
        let sources = [spec.package.as_deref(), spec.c_module.as_deref(), spec.c_sources.as_deref()];
        let sources = [sources.map(Option::unwrap_or_default).join(","), spec.packages.join(",")].join(";");
        let hash = Sha256::new().chain_update(shared).chain_update(sources);
        let short = digits::hex(&hash.finalize()[..6]);
        Some(format!("{name}-{}-{short}", module.version))
    }
}

impl GoModule {
    /// The flags of `go build`. Apart from their own tags and stamps, all modules have the same
    /// flags, so that packages which several of them use are compiled once.
    pub fn flags(&self) -> [String; 3] {
        let own = self.tags.iter().map(String::as_str);
        let tags: Vec<&str> = SHARED_TAGS.into_iter().chain(own).collect();
        // No DWARF: the linker would strip it.
        [format!("-tags={}", tags.join(",")), "-gcflags=all=-dwarf=false".to_owned(), self.ldflags()]
    }

    /// `-ldflags`: stripped, and stamped with the version.
    fn ldflags(&self) -> String {
        let fill = |text: &String| {
            let text = text.replace("{version}", &self.version.to_string());
            text.replace("{major}", &self.version.major.to_string()).replace("{minor}", &self.version.minor.to_string())
        };
        let stamps = self.stamp.iter().map(|stamp| format!(" -X {}", fill(stamp)));
        format!("-ldflags=-s -w{}", stamps.collect::<String>())
    }
}

/// The name that `go build` gives the program of a package. (For a trailing `/v3` it would be the
/// directory above, but no group has one.)
pub(super) fn last_element(package: &str) -> &str {
    package.rsplit('/').next().unwrap_or(package)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
