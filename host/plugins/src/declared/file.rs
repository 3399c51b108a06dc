//! The keys of a component file, parsed by serde. Must not check values against each other.
//!
//! Where the contract has a type for a value, that type parses it, so that these files and
//! `kubernix plan` use the same words.

use super::template::Template;
use kubernix_core::{
    Binary, Limit, Parameter, ParameterKind, Phase, ProbeKind, Requirement, Restart, Role, Scope, Signal,
};
use kubernix_toolchain::{GoModule, Section, ToolSpec};
use semver::{Version, VersionReq};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A component file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Document {
    pub component: Head,
    #[serde(default, rename = "parameter")]
    pub parameters: Vec<ParameterEntry>,
    #[serde(default, rename = "directory")]
    pub directories: Vec<DirectoryEntry>,
    #[serde(default, rename = "file")]
    pub files: Vec<FileEntry>,
    #[serde(default, rename = "process")]
    pub processes: Vec<ProcessEntry>,
    #[serde(default, rename = "provide")]
    pub provides: Vec<ProvideEntry>,
    #[serde(default, rename = "manifest")]
    pub manifests: Vec<ManifestEntry>,
    #[serde(default)]
    pub images: Vec<Template>,
    #[serde(default)]
    pub preflight: Vec<PreflightEntry>,
    pub before_stop: Option<CommandEntry>,
    pub import_image: Option<CommandEntry>,
    pub remove_image: Option<CommandEntry>,
    // The search for plugins parses these with the pins beside the file. Here only their form is
    // checked.
    #[serde(default, rename = "go")]
    pub _go: Section<GoModule>,
    #[serde(default, rename = "tool")]
    pub _tool: Section<ToolSpec>,
    #[serde(default, rename = "need")]
    pub _need: Section<kubernix_toolchain::Need>,
}

/// `[component]`: the component itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Head {
    /// The unique name, a DNS label.
    pub name: Spanned<String>,
    /// The name in messages, if it differs.
    pub title: Option<String>,
    /// Its version.
    pub version: Version,
    /// A description of one line.
    pub description: String,
    /// Its authors.
    #[serde(default)]
    pub authors: Vec<String>,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// Its website.
    pub homepage: Option<String>,
    /// The step of the boot order.
    pub phase: Phase,
    /// How many instances there are.
    #[serde(default = "once")]
    pub scope: Scope,
    /// The roles that it fills.
    pub provides: Vec<Spanned<Role>>,
    /// The roles that it needs.
    #[serde(default)]
    pub requires: Vec<Spanned<Need>>,
    /// The versions of the contract that it was written for.
    pub contract: Option<Spanned<VersionReq>>,
    /// The oldest host that it works with.
    pub host: Option<Spanned<Version>>,
    /// The binaries that it runs, its own first.
    #[serde(default)]
    pub binaries: Vec<Binary>,
}

/// A role that is needed: `"apiserver"`, or `{ role = "apiserver-port", wait = "known" }`.
#[derive(Debug)]
pub struct Need(pub Requirement);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParameterEntry {
    pub name: Spanned<String>,
    #[serde(default)]
    pub default: String,
    pub help: String,
    #[serde(default)]
    pub kind: KindEntry,
    /// The words of a choice.
    pub choices: Option<Vec<String>>,
    /// The lowest number.
    pub min: Option<i64>,
    /// The highest number.
    pub max: Option<i64>,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// The kind of a parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KindEntry {
    #[default]
    Text,
    Choice,
    Number,
    Flag,
    Path,
    Words,
}

impl ParameterEntry {
    /// The parameter, as the contract has it.
    pub fn parameter(&self) -> Parameter {
        let mut parameter = Parameter::new(self.name.get_ref(), &self.default, &self.help);
        parameter.options = self.options.clone();
        parameter.kind = match self.kind {
            KindEntry::Text => ParameterKind::Text,
            KindEntry::Choice => ParameterKind::Choice(self.choices.clone().unwrap_or_default()),
            KindEntry::Number => ParameterKind::Number(self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX)),
            KindEntry::Flag => ParameterKind::Flag,
            KindEntry::Path => ParameterKind::Path,
            KindEntry::Words => ParameterKind::Words,
        };
        parameter
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectoryEntry {
    pub path: Template,
    pub mode: Option<Spanned<u32>>,
    pub repeat: Option<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub path: Template,
    pub content: Template,
    pub mode: Option<Spanned<u32>>,
    #[serde(default)]
    pub verbatim: bool,
    pub repeat: Option<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProcessEntry {
    pub name: Template,
    pub program: Template,
    #[serde(default)]
    pub args: Vec<Template>,
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    #[serde(default)]
    pub directory: Template,
    #[serde(default)]
    pub user: Template,
    #[serde(default)]
    pub limits: BTreeMap<Limit, LimitValue>,
    #[serde(default)]
    pub one_shot: bool,
    pub liveness: Option<LivenessEntry>,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    pub restart: Option<Restart>,
    pub stop_signal: Option<StopSignal>,
    pub stop_grace_ms: Option<u64>,
    pub repeat: Option<Template>,
}

/// Checks that restart a process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LivenessEntry {
    pub probe: Spanned<ProbeEntry>,
    pub interval_ms: Option<u64>,
    pub failures: Option<u32>,
}

/// The value of a limit: a number, or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitValue(pub u64);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvideEntry {
    pub role: Spanned<Role>,
    #[serde(default)]
    pub url: Template,
    pub probe: Spanned<ProbeEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeEntry {
    pub kind: ProbeKind,
    #[serde(default)]
    pub target: Template,
    #[serde(default)]
    pub identity: Template,
    #[serde(default)]
    pub arguments: Vec<Template>,
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestEntry {
    pub name: Template,
    pub yaml: Template,
    #[serde(default)]
    pub verbatim: bool,
    pub repeat: Option<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PreflightEntry {
    pub fact: String,
    pub one_of: Vec<String>,
    pub message: Template,
    #[serde(default = "yes")]
    pub fatal: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandEntry {
    pub program: Template,
    #[serde(default)]
    pub args: Vec<Template>,
}

/// A signal by name or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StopSignal(pub Signal);

fn once() -> Scope {
    Scope::CLUSTER
}

fn yes() -> bool {
    true
}
