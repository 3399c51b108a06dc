//! The flags of settings, generated from the host's table.

use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, ValueHint};
use kubernix_host::settings::{Flag, Form, Id, Partial, Setting, Takes};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The heading of the flags in help and documents.
const HEADING: &str = "Settings of a boot";

/// The setting before which `--set` and its short forms are listed.
const AFTER_SETS: Id = Id::Addons;

/// Settings of a boot; all of them can come from `KUBERNIX_*` variables and `kubernix.toml` as
/// well.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BootArgs {
    /// The flags of single settings.
    pub settings: Partial,
    /// Slots and parameters.
    pub sets: Sets,
}

/// The flags of slots and parameters.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Sets {
    /// Fills a slot (ROLE=COMPONENT) or sets a parameter (COMPONENT.PARAMETER=VALUE,
    /// crio.binary=PATH), with NODE/ before it only on that node; can be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = HEADING)]
    pub set: Vec<String>,
    /// The container runtime: short for --set cri=NAME
    #[arg(long, value_name = "COMPONENT", help_heading = HEADING)]
    pub cri: Option<String>,
    /// The datastore: short for --set datastore=NAME
    #[arg(long, value_name = "COMPONENT", help_heading = HEADING)]
    pub datastore: Option<String>,
    /// The router of Services: short for --set proxy=NAME
    #[arg(long, value_name = "COMPONENT", help_heading = HEADING)]
    pub proxy: Option<String>,
}

/// Settings that every command has: they select the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GlobalSettings(pub Partial);

impl BootArgs {
    /// Only these plugins. An empty list is the same as no flag.
    pub fn of_plugins(plugins: Vec<PathBuf>) -> Self {
        let plugins = (!plugins.is_empty()).then_some(plugins);
        Self { settings: Partial { plugins, ..Partial::default() }, sets: Sets::default() }
    }
}

impl Args for BootArgs {
    fn augment_args(mut command: Command) -> Command {
        for id in Id::ALL.iter().copied() {
            if id == AFTER_SETS {
                command = Sets::augment_args(command);
            }
            let arg = id.setting().flag().filter(|_| !id.setting().is_global()).map(|flag| arg(id.setting(), flag));
            command = command.args(arg.map(|arg| arg.help_heading(HEADING)));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for BootArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let settings = read(matches, |setting| !setting.is_global())?;
        Ok(Self { settings, sets: Sets::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for GlobalSettings {
    fn augment_args(command: Command) -> Command {
        let settings = Id::ALL.iter().map(|id| id.setting()).filter(|setting| setting.is_global());
        command.args(settings.filter_map(|setting| Some(arg(setting, setting.flag()?).global(true))))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for GlobalSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        read(matches, Setting::is_global).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The ID of a setting's argument. It differs from the IDs of commands' own arguments, such as
/// `NAME`.
fn id_of(setting: &Setting) -> String {
    format!("setting.{}", setting.key())
}

fn arg(setting: &'static Setting, flag: Flag) -> Arg {
    let arg = Arg::new(id_of(setting)).long(flag.name).help(setting.help().unwrap_or_default());
    let (arg, name) = match flag.takes {
        Takes::Nothing(_) => return arg.action(ArgAction::SetTrue),
        Takes::One(name) => (arg.action(ArgAction::Set), name),
        Takes::Many(name) => (arg.action(ArgAction::Append), name),
        Takes::Optional { name, bare } => {
            let arg = arg.num_args(0..=1).require_equals(true).default_missing_value(bare);
            (arg.action(ArgAction::Set), name)
        }
    };
    let hint = match (setting.form(), name) {
        (Form::Path, _) => ValueHint::DirPath,
        (_, "FILE|DIR") => ValueHint::AnyPath,
        _ => ValueHint::Unknown,
    };
    arg.value_name(name).value_hint(hint).value_parser(Checked(setting)).hide_possible_values(true)
}

/// Checks a value as the setting does, and keeps its text.
#[derive(Clone, Copy)]
struct Checked(&'static Setting);

impl TypedValueParser for Checked {
    type Value = OsString;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<OsString, Error> {
        let setting = self.0;
        if value.to_str().is_some() {
            let check = |text: &str| setting.check(text).map(|()| OsString::from(text));
            return TypedValueParser::parse_ref(&check, command, arg, value);
        }
        OsStringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = self.0.form().words();
        (!words.is_empty()).then(|| Box::new(words.iter().map(PossibleValue::new)) as Box<_>)
    }
}

/// The values of those settings whose flags were given.
fn read(matches: &ArgMatches, wanted: impl Fn(&Setting) -> bool) -> Result<Partial, Error> {
    let mut partial = Partial::default();
    for id in Id::ALL.iter().copied().filter(|id| wanted(id.setting())) {
        let key = &id_of(id.setting());
        let Some(flag) = id.setting().flag() else { continue };
        let values: Vec<OsString> = match flag.takes {
            Takes::Nothing(means) if matches.get_flag(key) => vec![means.into()],
            Takes::Nothing(_) => Vec::new(),
            _ => matches.get_many::<OsString>(key).into_iter().flatten().cloned().collect(),
        };
        if !values.is_empty() {
            let invalid = |reason| Error::raw(ErrorKind::ValueValidation, format!("--{}: {reason}\n", flag.name));
            partial.put_flag(id, &values).map_err(invalid)?;
        }
    }
    Ok(partial)
}
