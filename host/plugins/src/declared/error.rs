//! What is wrong with a component file.

use std::io;
use std::path::PathBuf;

/// What is wrong with a component file. Each message holds its cause: there is no further chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It can't be read.
    #[error("can't read the component file `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It doesn't say what a component file can say.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
}
