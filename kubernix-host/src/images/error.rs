//! Errors of building images and of reading archives.

use std::io;
use std::path::{Path, PathBuf};

/// Why an image can't be built or an archive can't be used. Each message includes its cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file can't be read.
    #[error("can't read `{}`: {cause}", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// The file can't be written.
    #[error("{cause}")]
    Write {
        /// The error, which names the file.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file isn't an image archive.
    #[error(
        "`{}` is not an image archive: {found}; use an OCI or docker archive, for instance of `skopeo copy` or \
         `docker save`",
        path.display()
    )]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The archive as a whole is damaged.
    #[error("the image archive `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// One of the archive's images can't be used.
    #[error("image {image} of `{}` can't be used: {problem}", path.display())]
    Image {
        /// The archive.
        path: PathBuf,
        /// The image: its name in backquotes, or its number if it has no name.
        image: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An image can't be built.
    #[error("can't build the image `{image}`: {problem}")]
    Build {
        /// Its name.
        image: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

impl Error {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Read { path: path.to_owned(), cause }
    }
}

/// What is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It has no name, or only a tag.
    #[error("it has no name ({0}): save it by its name and tag")]
    Nameless(String),
    /// Its name is no image reference.
    #[error("its name is not an image reference: {0}")]
    Reference(String),
    /// Another image of the archive has the same name.
    #[error("another image of the archive is also named `{0}`: save them one by one")]
    Ambiguous(String),
    /// A part is missing.
    #[error("{part} (`{name}`) is missing from the archive")]
    Missing {
        /// `its config`, `layer 2 of 3`.
        part: String,
        /// Its digest, or its path in the archive.
        name: String,
    },
    /// A part has a wrong size.
    #[error("{part} (`{name}`) is damaged: it has {found} bytes instead of {wanted}")]
    Size {
        /// As in [`Problem::Missing`].
        part: String,
        /// As in [`Problem::Missing`].
        name: String,
        /// Bytes in the archive.
        found: u64,
        /// Bytes according to its descriptor.
        wanted: u64,
    },
    /// A part has a wrong hash.
    #[error("{part} (`{name}`) is damaged: its sha256 is {found}")]
    Digest {
        /// As in [`Problem::Missing`].
        part: String,
        /// As in [`Problem::Missing`].
        name: String,
        /// The hash of the content in the archive.
        found: String,
    },
    /// A part is malformed.
    #[error("{part} is malformed: {reason}")]
    Malformed {
        /// As in [`Problem::Missing`].
        part: String,
        /// Why.
        reason: String,
    },
    /// It is for other machines.
    #[error("it is for {found}, this machine is {wanted}")]
    Platform {
        /// `linux/arm64`, or several of these.
        found: String,
        /// `linux/amd64`.
        wanted: String,
    },
    /// A file of a new image can't be read.
    #[error("its file `{}` can't be read: {cause}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        cause: String,
    },
    /// A part of a new image is malformed.
    #[error("{0}")]
    Part(String),
    /// A program of a new image needs shared libraries.
    #[error("`{}` is linked dynamically, but the image has no shared libraries: link it statically", .0.display())]
    Dynamic(PathBuf),
    /// A path of a new image is outside the image.
    #[error("`{0}` is not a path inside an image")]
    Path(String),
}
