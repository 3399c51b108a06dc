//! Errors of component files.

use kubernix_toolchain::text::Located;
use std::io;
use std::path::PathBuf;

/// Why a component file can't be used. Each message includes its cause: there is no source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It can't be read.
    #[error("can't read the component file `{}`: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// It isn't TOML, or a key or value isn't valid.
    #[error(transparent)]
    File(#[from] Located),
}
