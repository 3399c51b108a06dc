//! Compares the complete output of a program with a golden file.

use similar::TextDiff;
use std::fs;
use std::path::Path;

/// Set to update the files instead of comparing with them.
const UPDATE: &str = "UPDATE_GOLDENS";

/// Compares a text with the golden of this name in `tests/goldens`.
///
/// # Panics
/// They differ; the message has the diff.
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
    panic!("the text differs from goldens/{name}; if it is right, run the test again with {UPDATE}=1\n{diff}");
}
