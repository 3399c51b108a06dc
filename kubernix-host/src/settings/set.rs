//! The arguments of `--set`: `ROLE=COMPONENT` fills a slot, `COMPONENT.PARAMETER=VALUE` sets a
//! parameter, and `registry.mirrors.REGISTRY=URL,...` sets the mirrors of a registry.

use super::key::MIRRORS;
use super::value::ValueError;
use super::{Error, Id, Key, Partial};

/// Parses one argument.
pub(super) fn parse(form: &str) -> Result<(Key, String), ValueError> {
    let Some((name, value)) = form.split_once('=') else {
        return Err(ValueError::SetForm(form.into()));
    };
    let key = match name.split_once('.') {
        _ if name.starts_with(MIRRORS) => Key::Mirrors(name[MIRRORS.len()..].into()),
        Some((component, parameter)) => Key::Parameter(component.into(), parameter.into()),
        None => match Id::of_key(name) {
            Some(id) => {
                let advice = id.setting().advice();
                return Err(ValueError::NotForSet { form: form.into(), name: name.into(), advice });
            }
            None => Key::Slot(name.into()),
        },
    };
    Ok((key, value.into()))
}

/// Checks one argument, for command lines: `cri=containerd`, `crio.binary=/usr/local/bin/crio`.
///
/// # Errors
/// The argument has none of the three forms.
pub fn check(form: &str) -> Result<String, Error> {
    Partial::default().with_sets([form]).map(|_| form.into())
}

/// Splits a list of arguments at its commas; `\,` is a comma inside a value.
pub(super) fn split(list: &str) -> Vec<String> {
    let mut forms = vec![String::new()];
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = forms.len() - 1;
        match letter {
            '\\' if letters.peek() == Some(&',') => forms[last].extend(letters.next()),
            ',' => forms.push(String::new()),
            letter => forms[last].push(letter),
        }
    }
    forms.retain(|form| !form.trim().is_empty());
    forms.iter().map(|form| form.trim().into()).collect()
}
