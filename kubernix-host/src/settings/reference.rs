//! Generates the table of settings in `docs/configuration.md`.

use super::setting::{Flag, Setting, Takes};
use super::{Form, Id};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The marks around the generated part.
const BEGIN: &str = "<!-- settings: generated from the table of settings -->\n\n";
const END: &str = "\n<!-- end of settings -->\n";

/// The tables of a file whose keys are names: key, flag, variable, description.
const TABLES: [[&str; 4]; 3] = [
    [
        "registry.mirrors.REGISTRY",
        "`--set registry.mirrors.REGISTRY=URL,...`",
        "`KUBERNIX_SET`",
        "Mirrors of a registry, which are tried before the registry itself; a list in a file",
    ],
    [
        "slots.ROLE",
        "`--set ROLE=COMPONENT`",
        "`KUBERNIX_SET`",
        "The component that fills a role; `none` leaves it empty",
    ],
    [
        "components.NAME.PARAMETER",
        "`--set NAME.PARAMETER=VALUE`",
        "`KUBERNIX_SET`",
        "A parameter of a component; `binary` and `any-version` of a component or tool",
    ],
];

fn table() -> String {
    let mut text = String::from("| key | flag | variable | default | |\n|---|---|---|---|---|\n");
    for setting in Id::ALL.iter().map(|id| id.setting()) {
        let (flag, default, about) = (flag(setting), cell(&setting.default_text()), about(setting));
        let _ = writeln!(text, "| `{}` |{flag}| `{}` |{default}| {about} |", setting.key(), setting.variable());
    }
    for [key, flag, variable, about] in TABLES {
        let _ = writeln!(text, "| `{key}` | {flag} | {variable} | | {about} |");
    }
    text
}

/// A cell with a space on each side; one space if it is empty.
fn cell(text: &str) -> String {
    if text.is_empty() { " ".into() } else { format!(" {text} ") }
}

fn flag(setting: &Setting) -> String {
    let Some(Flag { name, takes, .. }) = setting.flag() else { return cell("") };
    cell(&match takes {
        Takes::One(_) | Takes::Nothing(_) => format!("`--{name}`"),
        Takes::Many(_) => format!("`--{name}`, can be repeated"),
        Takes::Optional { name: value, .. } => format!("`--{name}[={value}]`"),
    })
}

fn about(setting: &Setting) -> String {
    let mut about = setting.about().trim_end_matches('.').replace('|', "\\|");
    if let Form::List { separator, .. } = setting.form() {
        let separator = if separator == ',' { "commas" } else { "colons" };
        let _ = write!(about, "; separated by {separator}, or a list in a file");
    }
    if let Some(link) = setting.declared.document {
        let name = link.split('#').next().unwrap_or(link);
        let _ = write!(about, "; see [{name}]({link})");
    }
    about
}

#[test]
fn the_table_in_the_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let saved = fs::read_to_string(&path).unwrap();
    let (before, rest) = saved.split_once(BEGIN).expect("docs/configuration.md has no mark for the table");
    let (old, after) = rest.split_once(END).expect("docs/configuration.md has no mark for the table's end");
    let new = table();
    if std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| !value.is_empty()) {
        fs::write(&path, [before, BEGIN, &new, END, after].concat()).unwrap();
        return;
    }
    let differs = new.lines().find(|line| !old.lines().any(|other| other == *line));
    assert!(
        old == new,
        "docs/configuration.md is outdated, at {differs:?}: run this test with UPDATE_GOLDENS=1 \
         (`cargo test -p kubernix-host --lib settings::reference`)"
    );
}

#[test]
fn every_setting_is_in_the_document() {
    let text = table();
    for setting in Id::ALL.iter().map(|id| id.setting()) {
        assert_eq!(text.matches(&format!("\n| `{}` |", setting.key())).count(), 1, "{text}");
        assert!(!setting.about().is_empty() && text.contains(&setting.variable()), "{}", setting.key());
    }
}
