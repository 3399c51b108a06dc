//! The keys of a component file, as serde reads them. Values that follow from others are checked
//! elsewhere.
//!
//! Where the contract has a word for something, its own type reads it, so that these files and
//! `kubernix plan` speak the same.

use super::template::Template;
use kubernix_core::{
    Binary, Limit, Parameter, ParameterKind, Phase, ProbeKind, Requirement, Restart, Role, Scope, Signal, UNLIMITED,
    Wait,
};
use kubernix_toolchain::{GoModule, Section, ToolSpec};
use nix::sys::signal;
use semver::{Version, VersionReq};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
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
    // Read with the pins beside the file, where plugins are looked for; here only their form is
    // checked.
    #[serde(default, rename = "go")]
    pub _go: Section<GoModule>,
    #[serde(default, rename = "tool")]
    pub _tool: Section<ToolSpec>,
    #[serde(default, rename = "need")]
    pub _need: Section<kubernix_toolchain::Need>,
}

/// `[component]`: what it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Head {
    /// The unique name, a DNS label.
    pub name: Spanned<String>,
    /// The name that people read, if it is another.
    pub title: Option<String>,
    /// Its version.
    pub version: Version,
    /// What it is, in one line.
    pub description: String,
    /// Its author.
    #[serde(default)]
    pub authors: Vec<String>,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// Where to read more.
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
    /// The oldest host that will do.
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

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            role: Role,
            wait: Option<Wait>,
        }

        impl<'de> Visitor<'de> for Either {
            type Value = Need;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a role, or a table with `role` and `wait`")
            }

            fn visit_str<E>(self, role: &str) -> Result<Need, E> {
                Ok(Need(Requirement::ready(role)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Need, A::Error> {
                let Whole { role, wait } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                let mut need = Requirement::ready(role);
                need.wait = wait.unwrap_or(need.wait);
                Ok(Need(need))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for StopSignal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = StopSignal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signal's name or number")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<StopSignal, E> {
                let whole = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
                let signal: Result<signal::Signal, _> = whole.parse();
                let signal = signal.map_err(|_| E::custom(not_a_signal(name)))?;
                self.visit_i64(i64::from(signal as i32))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<StopSignal, E> {
                let signal = u32::try_from(number).ok().filter(|number| (1..=64).contains(number));
                signal.map(|number| StopSignal(Signal(number))).ok_or_else(|| E::custom(not_a_signal(number)))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<StopSignal, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for LimitValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = LimitValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0, or \"unlimited\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LimitValue, E> {
                if text == "unlimited" {
                    return Ok(LimitValue(UNLIMITED));
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<LimitValue, E> {
                let value = u64::try_from(number).map(LimitValue);
                value.map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

fn not_a_signal(given: impl fmt::Display) -> String {
    format!("`{given}` is no signal: give a name such as SIGTERM, or a number from 1 to 64")
}
