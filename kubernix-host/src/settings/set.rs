//! The two forms of `--set`: `ROLE=COMPONENT` fills a slot, `COMPONENT.PARAMETER=VALUE` sets a
//! parameter; and `registry.mirrors.REGISTRY=URL,...` says what is asked for images in its place.

use super::key::MIRRORS;
use super::{Id, Key};

/// Reads one form.
pub(super) fn parse(form: &str) -> Result<(Key, String), String> {
    let Some((name, value)) = form.split_once('=') else {
        return Err(format!("`{form}` is neither ROLE=COMPONENT nor COMPONENT.PARAMETER=VALUE"));
    };
    let key = match name.split_once('.') {
        _ if name.starts_with(MIRRORS) => Key::Mirrors(name[MIRRORS.len()..].into()),
        Some((component, parameter)) => Key::Parameter(component.into(), parameter.into()),
        None => match Id::of_key(name) {
            Some(id) => {
                return Err(format!("`{form}`: `{name}` is a setting of its own, {}", id.setting().advice()));
            }
            None => Key::Slot(name.into()),
        },
    };
    Ok((key, value.into()))
}

/// Checks one form, for command lines: `cri=containerd`, `crio.binary=/usr/local/bin/crio`.
///
/// # Errors
/// It has neither of the two forms.
pub fn check(form: &str) -> Result<String, String> {
    super::Partial::default().with_sets([form]).map(|_| form.into()).map_err(|error| error.to_string())
}

/// The forms of a list: separated by commas; `\,` is a comma inside of a value.
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
