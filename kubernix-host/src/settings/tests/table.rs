//! Properties of every entry of the table.

use super::*;
use std::collections::BTreeSet;

/// Values of a setting other than the default, as text.
fn samples(setting: &Setting) -> Vec<String> {
    let words = setting.form().words().iter().copied();
    let mut samples: Vec<String> = words.chain([setting.example()]).map(str::to_owned).collect();
    samples.retain(|text| !matches!(setting.default_value(), DefaultValue::Value(standard) if standard == text));
    samples
}

fn of_variable(id: Id, text: &str) -> Partial {
    Partial { origins: BTreeMap::new(), ..Partial::from_env([(id.setting().variable(), text)]).unwrap() }
}

#[test]
fn saved_values_are_read_again() {
    let fixture = Fixture::new();
    for id in Id::ALL.iter().copied().filter(|id| id.setting().scope() != Scope::Call) {
        let setting = id.setting();
        for text in samples(setting) {
            let settings = fixture.resolve(of_variable(id, &text), &[]).unwrap().settings;
            let saved = settings.to_toml();
            assert!(saved.contains(&format!("\n{} = ", setting.key())), "`{}` is not saved:\n{saved}", setting.key());
            let read = Partial::from_toml(Path::new("saved.toml"), &saved).unwrap();
            assert_eq!(fixture.resolve(read, &[]).unwrap().settings, settings, "{}", setting.key());
        }
    }
}

#[test]
fn settings_of_a_call_and_defaults_that_arent_pinned_are_not_saved() {
    let fixture = Fixture::new();
    let settings = fixture.resolve(Partial::default(), &[]).unwrap().settings;
    assert_eq!(settings.to_toml(), save::HEADER.to_owned() + "name = \"kubernix\"\ncidr = \"10.10.0.0/16\"\n");
    for id in Id::ALL.iter().copied().filter(|id| id.setting().scope() == Scope::Call) {
        let settings = fixture.resolve(of_variable(id, id.setting().example()), &[]).unwrap().settings;
        assert!(!settings.to_toml().contains(&format!("\n{} = ", id.setting().key())), "{}", id.setting().key());
    }
}

#[test]
fn a_file_and_a_flag_set_the_same_as_a_variable() {
    for id in Id::ALL.iter().copied() {
        let setting = id.setting();
        for text in samples(setting) {
            let value = of_variable(id, &text);
            let mut of_flag = Partial::default();
            let words: Vec<std::ffi::OsString> = match setting.form() {
                Form::List { separator, .. } => text.split(separator).collect(),
                _ => vec![text.as_str()],
            }
            .into_iter()
            .map(Into::into)
            .collect();
            // `[::1]` contains the separator of paths.
            if !text.contains("::") {
                of_flag.put_flag(id, &words).unwrap();
                assert_eq!(of_flag, value, "{}", setting.key());
            }
            let line = match setting.form() {
                Form::Bool | Form::Number { .. } | Form::Numbers(_) => format!("{} = {text}", setting.key()),
                _ => format!("{} = '{text}'", setting.key()),
            };
            let of_file = Partial::from_toml(Path::new("f"), &line).unwrap();
            assert_eq!(Partial { origins: BTreeMap::new(), ..of_file }, value, "{line}");
        }
    }
}

#[test]
fn every_entry_is_shown_with_its_value_and_its_origin() {
    let fixture = Fixture::new();
    for id in Id::ALL.iter().copied() {
        let setting = id.setting();
        let text = samples(setting).pop().expect("the kind's example isn't this default");
        let variable = setting.variable();
        let resolved = fixture.resolve(Partial::default(), &[(&variable, &text)]).unwrap();
        let row = show(&resolved).into_iter().find(|row| row.key == setting.key()).unwrap();
        assert_eq!((row.value, row.origin), (text, Origin::Env(variable)), "{}", setting.key());
    }
}

#[test]
fn defaults_are_valid_values_and_shown() {
    let rows = show(&Fixture::new().resolve(Partial::default(), &[]).unwrap());
    for (setting, row) in Id::ALL.iter().map(|id| id.setting()).zip(rows) {
        match setting.default_value() {
            DefaultValue::Value(text) => {
                setting.check(text).unwrap_or_else(|reason| panic!("{}: {reason}", setting.key()));
                assert_eq!((row.key.as_str(), row.value.as_str()), (setting.key(), text));
            }
            DefaultValue::Unset(words) => assert_eq!((row.key.as_str(), row.value.as_str()), (setting.key(), words)),
            DefaultValue::OfUser => assert_eq!(row.key, setting.key()),
        }
        setting.check(setting.example()).unwrap_or_else(|reason| panic!("{}: {reason}", setting.key()));
    }
}

#[test]
fn no_two_settings_share_a_key_a_variable_or_a_flag() {
    let settings: Vec<&Setting> = Id::ALL.iter().map(|id| id.setting()).collect();
    let count = |names: BTreeSet<String>, all: usize| assert_eq!(names.len(), all, "{names:?}");
    count(settings.iter().map(|setting| setting.key().to_owned()).collect(), settings.len());
    count(settings.iter().map(|setting| setting.variable()).collect(), settings.len());
    let flags: Vec<Flag> = settings.iter().filter_map(|setting| setting.flag()).collect();
    count(flags.iter().map(|flag| flag.name.to_owned()).collect(), flags.len());
    for id in Id::ALL {
        assert_eq!((Id::of_key(id.setting().key()), Id::of_variable(&id.setting().variable())), (Some(*id), Some(*id)));
    }
}
