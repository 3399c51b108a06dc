//! An error at a position of a file. Must not know what the file is.

use super::position;
use std::path::{Path, PathBuf};

/// An error at a position of a file. Prints as `FILE:LINE:COLUMN: REASON`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {reason}", path.display())]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Located {
    /// An error at this byte of the file's text.
    pub fn new(path: &Path, text: &str, byte: usize, reason: impl ToString) -> Self {
        let (line, column) = position(text, byte);
        Self { path: path.to_owned(), line, column, reason: reason.to_string() }
    }

    /// An error of the TOML parser, on one line.
    pub fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let byte = error.span().map_or(0, |span| span.start);
        Self::new(path, text, byte, error.message().trim().replace('\n', ", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_its_file_line_and_column() {
        let text = "a = 1\nb = = 2\n";
        let path = Path::new("x.toml");
        assert_eq!(Located::new(path, text, 8, "two is wrong").to_string(), "x.toml:2:3: two is wrong");
        let error = toml::from_str::<toml::Table>(text).unwrap_err();
        let located = Located::toml(path, text, &error);
        assert_eq!((located.line, located.column), (2, 5));
        assert!(!located.reason.contains('\n'), "{located}");
    }
}
