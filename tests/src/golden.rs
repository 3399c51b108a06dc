//! Files that say what a program should print, whole.

use similar::TextDiff;
use std::fs;
use std::path::Path;

/// Set to write the files anew instead of comparing with them.
const UPDATE: &str = "UPDATE_GOLDENS";

/// Compares a text with the golden of this name in `tests/goldens`.
///
/// # Panics
/// They differ; with where.
#[track_caller]
pub fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name);
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        fs::create_dir_all(path.parent().expect("it has a directory")).expect("the directory of goldens");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if golden == text {
        return;
    }
    let diff = TextDiff::from_lines(golden.as_str(), text);
    let diff = diff.unified_diff().context_radius(4).header(name, "now").to_string();
    panic!("it isn't what goldens/{name} says; if it should be, run this again with {UPDATE}=1\n{diff}");
}
